package litellm

import (
	"strconv"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/plan"
)

// remark is what to say about a setting of LiteLLM that is not carried over.
type remark struct {
	level plan.Level
	text  string
}

func (r remark) known() bool { return r.text != "" }

type table map[string]remark

// remark notes a setting that no code here reads.
func (v *conversion) remark(f field, path string, known table) {
	r, ok := known[f.key]
	switch {
	case ok && r.level != plan.Info && off(f) && !onByDefault[f.key]:
		v.note(f.line, plan.Info, path, "It is off, so there is nothing to carry over.")
	case !ok:
		v.note(f.line, plan.Warning, path, "%s is no setting that this import knows, so nothing was made of it. LiteLLM passes over unknown settings in silence.", quote(f.key))
	default:
		v.note(f.line, r.level, path, "%s", r.text)
	}
}

// onByDefault are settings that change something where they are false.
var onByDefault = map[string]bool{"ssl_verify": true}

// off says that a setting is as if it were not there: null, false or empty.
func off(f field) bool {
	n := resolve(f.value)
	if null(n) {
		return true
	}
	if n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode {
		return len(n.Content) == 0
	}
	on, ok := truth(n)
	return ok && !on || scalar(n) == ""
}

// quote shows text of the file, in bounds.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

var (
	modelsOnly = remark{plan.Info, "It concerns LiteLLM's own routing of models, and nothing is made of it."}
	otherStore = remark{plan.Info, "It concerns LiteLLM's own database, cache or workers; Tollgate has its own."}
	pythonHook = remark{plan.Refused, "It names Python code, which Tollgate does not run. Requests are no longer seen or refused by it."}
	ownBudgets = remark{plan.Refused, "No budget is made of it. Make one with `tollgate budget create`; until then nothing limits spend."}
	ownLimits  = remark{plan.Refused, "No limit is made of it. Make one with `tollgate limit create`; until then more requests may reach the targets than before."}
	noAlerts   = remark{plan.Warning, "It is not carried over: Tollgate sends no such messages."}
	noCapture  = remark{plan.Info, "Tollgate keeps no bodies of requests and responses, so there is nothing to set."}
	noFilter   = remark{plan.Refused, "It is not carried over, so requests that LiteLLM refuses for it are let through. Put the same rule in front of Tollgate."}
	otherLogin = remark{plan.Refused, "Tollgate knows callers by their keys only; callers who sign in otherwise are answered 401."}
)

var topLevel = table{
	"general_settings":      {plan.Info, "read"},
	"litellm_settings":      {plan.Info, "read"},
	"environment_variables": {plan.Info, "read"},
	"model_list":            {plan.Info, "read"},
	"router_settings":       {plan.Info, "read"},
	"guardrails":            {plan.Refused, "Guardrails are not imported: nothing inspects or blocks the content of requests any more. Endpoints that name one are refused; keep those on LiteLLM, or let the target do the check."},
	"callback_settings":     {plan.Warning, "Callbacks are not imported: Tollgate sends requests and responses to no third party. Spend is in its ledger and metrics are for Prometheus."},
	"credential_list":       {plan.Warning, "Named credentials are not imported; a model that names one is refused. Write api_key and api_base at the model."},
	"mcp_servers":           {plan.Refused, "MCP servers are not imported: their paths find no endpoint."},
	"mcp_tools":             {plan.Refused, "MCP tools are not imported."},
	"include":               {plan.Info, "read"},
	"worker_registry":       otherStore,
	"search_tools":          {plan.Refused, "Search tools are not imported: their paths find no endpoint."},
	"vector_store_registry": modelsOnly,
	"files_settings":        modelsOnly,
	"finetune_settings":     modelsOnly,
	"prompts":               modelsOnly,
	"agent_list":            {plan.Refused, "Agents are not imported: their paths find no endpoint."},
	"assistant_settings":    modelsOnly,
}

var generalSettings = table{
	"database_url":                               otherStore,
	"database_connection_pool_limit":             otherStore,
	"database_connection_timeout":                otherStore,
	"allow_requests_on_db_unavailable":           {plan.Warning, "Tollgate's edges serve while its database is away and never pass the budgets they hold, so there is no such choice."},
	"store_model_in_db":                          {plan.Warning, "Endpoints and keys that were made in LiteLLM's UI are in its database, not in this file, and are not imported. Where both have a setting, the database is what LiteLLM uses."},
	"supported_db_objects":                       otherStore,
	"use_redis_transaction_buffer":               otherStore,
	"proxy_batch_write_at":                       otherStore,
	"proxy_batch_polling_interval":               otherStore,
	"proxy_budget_rescheduler_min_time":          otherStore,
	"proxy_budget_rescheduler_max_time":          otherStore,
	"proxy_config_reload_interval_seconds":       otherStore,
	"disable_spend_logs":                         {plan.Warning, "Tollgate books every charge; booking cannot be turned off."},
	"disable_spend_updates":                      {plan.Warning, "Tollgate books every charge; booking cannot be turned off."},
	"store_prompts_in_spend_logs":                noCapture,
	"maximum_spend_logs_retention_period":        {plan.Warning, "It is not carried over: Tollgate's ledger keeps its books."},
	"maximum_spend_logs_retention_interval":      {plan.Warning, "It is not carried over: Tollgate's ledger keeps its books."},
	"maximum_spend_logs_cleanup_cron":            {plan.Warning, "It is not carried over: Tollgate's ledger keeps its books."},
	"token_rate_limit_type":                      modelsOnly,
	"max_response_size_mb":                       {plan.Warning, "It is not carried over: Tollgate streams responses of any length."},
	"use_x_forwarded_for":                        {plan.Warning, "Tell the edges in trusted_proxies from which networks the header is believed; until then the caller's address is the one that connects."},
	"allowed_routes":                             noFilter,
	"admin_only_routes":                          noFilter,
	"public_routes":                              {plan.Warning, "Tollgate requires a key on every endpoint, so callers of these paths without one are answered 401."},
	"reject_clientside_metadata_tags":            noFilter,
	"alerting":                                   noAlerts,
	"alerting_args":                              noAlerts,
	"alerting_threshold":                         noAlerts,
	"alert_types":                                noAlerts,
	"alert_to_webhook_url":                       noAlerts,
	"spend_report_frequency":                     noAlerts,
	"forward_client_headers_to_llm_api":          modelsOnly,
	"forward_openai_org_id":                      modelsOnly,
	"infer_model_from_keys":                      modelsOnly,
	"background_health_checks":                   modelsOnly,
	"health_check_interval":                      modelsOnly,
	"health_check_details":                       modelsOnly,
	"enable_openai_websocket_passthrough":        {plan.Refused, "Tollgate does not relay WebSockets: a request to upgrade is answered 501."},
	"use_client_credentials_pass_through_routes": {plan.Warning, "It concerns LiteLLM's built-in provider paths, which Tollgate does not have: make an endpoint for each that is used."},
	"passthrough_require_cost_tracking":          {plan.Info, "Every Tollgate endpoint has a price, or says that it is free."},
	"passthrough_capabilities":                   {plan.Warning, "Prices by what a response reports are not imported. Give the endpoint a fixed price, a price by meters, or one that the target reports."},
	"passthrough_managed_object_ids":             {plan.Warning, "Tollgate changes no ids in bodies."},
	"fail_closed_budget_enforcement":             {plan.Info, "Tollgate always refuses a request for which no budget can be had."},
	"custom_auth":                                pythonHook,
	"custom_key_generate":                        pythonHook,
	"custom_sso":                                 pythonHook,
	"custom_ui_sso_sign_in_handler":              pythonHook,
	"enable_jwt_auth":                            otherLogin,
	"litellm_jwtauth":                            otherLogin,
	"enable_oauth2_auth":                         otherLogin,
	"enable_oauth2_proxy_auth":                   otherLogin,
	"oauth2_config_mappings":                     otherLogin,
	"key_management_system":                      {plan.Refused, "The key manager is not asked: os.environ/ references become variables of the edges, which must be set there."},
	"key_management_settings":                    {plan.Refused, "The key manager is not asked: os.environ/ references become variables of the edges, which must be set there."},
	"use_google_kms":                             {plan.Refused, "The key manager is not asked: os.environ/ references become variables of the edges, which must be set there."},
	"use_azure_key_vault":                        {plan.Refused, "The key manager is not asked: os.environ/ references become variables of the edges, which must be set there."},
	"ui_access_mode":                             {plan.Info, "It concerns LiteLLM's UI."},
	"disable_master_key_return":                  {plan.Info, "It concerns LiteLLM's UI."},
	"litellm_license":                            {plan.Info, "Tollgate needs no license key."},
	"default_team_disabled":                      {plan.Info, "A Tollgate key belongs to no team unless it is given one."},
}

var litellmSettings = table{
	"default_team_params":          {plan.Warning, "Defaults of new teams are not carried over: a Tollgate team is made with what is asked for."},
	"default_internal_user_params": {plan.Warning, "Defaults of new users are not carried over: in Tollgate, people sign in, and keys and teams spend."},
	"key_generation_settings":      {plan.Warning, "Only holders of an admin token make keys in Tollgate."},
	"post_call_rules":              pythonHook,
	"turn_off_message_logging":     noCapture,
	"redact_user_api_key_info":     {plan.Info, "Tollgate never logs a key."},
	"json_logs":                    {plan.Info, "The form of logs is a setting of each Tollgate process."},
	"set_verbose":                  {plan.Info, "The level of logs is a setting of each Tollgate process."},
	"cost_discount_config":         {plan.Warning, "Discounts are not imported: a request costs what its endpoint says."},
	"cost_margin_config":           {plan.Warning, "Margins are not imported: a request costs what its endpoint says."},
	"cache":                        {plan.Info, "Tollgate caches no responses; LiteLLM caches none of pass-through endpoints either."},
	"cache_params":                 {plan.Info, "Tollgate caches no responses; LiteLLM caches none of pass-through endpoints either."},
	"request_timeout":              ownTimeout,
	"drop_params":                  dropsParams,
	"modify_params":                modelsOnly,
	"num_retries":                  ownRetries,
	"num_retries_per_request":      ownRetries,
	"allowed_fails":                ownRetries,
	"fallbacks":                    noFallbacks,
	"default_fallbacks":            noFallbacks,
	"context_window_fallbacks":     noFallbacks,
	"content_policy_fallbacks":     noFallbacks,
	"force_ipv4":                   modelsOnly,
	"ssl_verify":                   {plan.Warning, "Tollgate always verifies the certificates of targets."},
}

// entryKeys are keys of an entry that no code here reads.
var entryKeys = table{
	"id":             {plan.Info, "Tollgate gives its own ids."},
	"is_from_config": {plan.Info, "It is LiteLLM's mark on what came from a file."},
}
