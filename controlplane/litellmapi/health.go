package litellmapi

import (
	"context"
	"net/http"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// alive says that the process answers.
func (c *call) alive() (any, error) { return "I'm alive!", nil }

func (c *call) home() (any, error) {
	return object{"message": "Tollgate, with the calls of LiteLLM's proxy"}, nil
}

// ready tells the truth about the database, also in its status.
func (c *call) ready() (any, error) {
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	out := object{"status": "healthy", "db": "connected", "cache": nil, "litellm_version": c.Version, "success_callbacks": []any{}}
	if c.Store.Ping(ctx) != nil {
		out["status"], out["db"] = "unhealthy", "Not connected"
		c.status = http.StatusServiceUnavailable
	}
	return out, nil
}

// health lists what is served. Targets are watched by edges, which never spend money on it.
func (c *call) health() (any, error) {
	all, err := c.allModels()
	if err != nil {
		return nil, err
	}
	healthy := []any{}
	for _, m := range all {
		for _, d := range m.GetDeployments() {
			healthy = append(healthy, object{"model": d.GetModel(), "model_name": m.GetName(), "api_base": d.GetTarget().GetUrl()})
		}
	}
	return object{"healthy_endpoints": healthy, "unhealthy_endpoints": []any{}, "healthy_count": len(healthy), "unhealthy_count": 0}, nil
}

func (c *call) allModels() ([]*controlv1.Model, error) {
	var all []*controlv1.Model
	req := &controlv1.ListModelsRequest{PageSize: 1000}
	for range mostPages {
		page, err := c.models.ListModels(c.ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetModels()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

// modelInfo lists deployments, without their credentials.
func (c *call) modelInfo() (any, error) {
	all, err := c.allModels()
	if err != nil {
		return nil, err
	}
	data := []any{}
	id := c.r.URL.Query().Get("litellm_model_id")
	for _, m := range all {
		for _, d := range m.GetDeployments() {
			ref := m.GetId() + "/" + d.GetName()
			if id != "" && id != ref {
				continue
			}
			info := object{"id": ref, "db_model": true, "mode": "chat", "base_model": nil}
			if n := d.GetPrice().GetFixed().GetPerRequest(); n != nil {
				amount, err := contract.MoneyFromProto(n)
				if err != nil {
					return nil, err
				}
				info["cost_per_request"] = amountOf(amount)
			}
			data = append(data, object{
				"model_name": m.GetName(), "litellm_params": object{"model": d.GetModel(), "api_base": d.GetTarget().GetUrl()}, "model_info": info,
			})
		}
	}
	if id != "" && len(data) == 0 {
		return nil, notFound("Model id = %s not found on litellm proxy", clip(id))
	}
	return object{"data": data}, nil
}
