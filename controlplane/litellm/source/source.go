// Package source reads what a LiteLLM deployment keeps beside its file: from a running proxy by its own API, or from a dump of its
// database. It changes nothing there, and shows nothing of what it reads: what becomes of it is package litellm's to say. What it
// cannot read it names, and it reads all of a list or fails.
package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tollgate/controlplane/litellm"
)

// Tables of LiteLLM that are read.
const (
	tableKeys          = "LiteLLM_VerificationToken"
	tableTeams         = "LiteLLM_TeamTable"
	tableMemberships   = "LiteLLM_TeamMembership"
	tableUsers         = "LiteLLM_UserTable"
	tableOrganizations = "LiteLLM_OrganizationTable"
	tableBudgets       = "LiteLLM_BudgetTable"
	tableCustomers     = "LiteLLM_EndUserTable"
	tableTags          = "LiteLLM_TagTable"
	tableConfig        = "LiteLLM_Config"
	tableModels        = "LiteLLM_ProxyModelTable"
)

// Tables are the names of the tables that are read.
func Tables() []string {
	return []string{
		tableKeys, tableTeams, tableMemberships, tableUsers, tableOrganizations, tableBudgets, tableCustomers, tableTags, tableConfig, tableModels,
	}
}

// OfTables makes records of rows of tables. A table that is not there had no rows, or LiteLLM had none of that name then.
func OfTables(from string, tables map[string][]litellm.Row) (*litellm.Records, error) {
	if !slices.ContainsFunc([]string{tableKeys, tableTeams, tableUsers, tableConfig}, func(name string) bool { return tables[name] != nil }) {
		return nil, fmt.Errorf("there is no table of LiteLLM's, such as %s", tableKeys)
	}
	r := &litellm.Records{
		From: from, Keys: tables[tableKeys], Teams: tables[tableTeams], Memberships: tables[tableMemberships], Users: tables[tableUsers],
		Organizations: tables[tableOrganizations], Budgets: tables[tableBudgets], Customers: tables[tableCustomers], Tags: tables[tableTags],
	}
	for _, row := range tables[tableConfig] {
		section := row.Text("param_name")
		value := row.Object("param_value")
		switch {
		case section == "environment_variables":
			r.Missing = append(r.Missing, "Environment variables that were set in LiteLLM's UI are encrypted, and are not imported.")
		case value == nil:
		default:
			if section == "general_settings" {
				r.Endpoints = append(r.Endpoints, value.Rows("pass_through_endpoints")...)
			}
			if r.Settings == nil {
				r.Settings = map[string]litellm.Row{}
			}
			r.Settings[section] = value
		}
	}
	if n := len(tables[tableModels]); n > 0 {
		r.Missing = append(r.Missing, fmt.Sprintf("%d deployments of models that were made in LiteLLM's UI are encrypted with its salt key, and are not imported.", n))
	}
	return r, nil
}

// rowsOf reads rows of JSON whose numbers stay as they are written.
func rowsOf(raw json.RawMessage) ([]litellm.Row, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	var out []litellm.Row
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			row, ok := one.(map[string]any)
			if !ok {
				return nil, errors.New("an item of the list is no object")
			}
			out = append(out, row)
		}
	case map[string]any: // objects by their names
		for name, one := range v {
			row, ok := one.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%q is no object", name)
			}
			if row["name"] == nil {
				row["name"] = name
			}
			out = append(out, row)
		}
	case nil:
	default:
		return nil, errors.New("it is no list")
	}
	return out, nil
}
