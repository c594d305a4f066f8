package litellm

import "tollgate/internal/plan"

var (
	ownRetries  = remark{plan.Info, "Nothing is made of it: a request that a deployment answers with 429, 503 or 529 goes to another one of its model. `tollgate model update NAME --retry` sets more."}
	noFallbacks = remark{plan.Refused, "Not imported: no model stands in for another one of another name. `tollgate model add-deployment NAME --priority 1` adds a deployment that is asked when the others fail."}
	ownTimeout  = remark{plan.Warning, "Not carried over: a vendor may take 10 minutes until it begins to answer. `tollgate endpoint set NAME --timeout` changes that."}
	dropsParams = remark{plan.Info, "What a vendor's schema has no place for is always left out, and named in the header x-tollgate-dropped."}
	ownHealth   = remark{plan.Info, "Nothing is made of it: a deployment that fails is left alone by its breaker, which `tollgate model update NAME --breaker` sets."}
	ownSpend    = remark{plan.Warning, "No budget is made of it: the deployment is used whatever it has cost. `tollgate budget create` limits a key, a team, a tag or everything."}
	otherCloud  = remark{plan.Refused, "The deployment is not imported. Tollgate signs in to vendors of models with a key only."}
)

// modelKeys are keys of an item of model_list that no code here reads.
var modelKeys = table{
	"tpm": {plan.Warning, "LiteLLM reads it below litellm_params only."},
	"rpm": {plan.Warning, "LiteLLM reads it below litellm_params only."},
}

// modelParams are litellm_params that are neither carried over nor sent to the vendor.
var modelParams = table{
	"use_in_pass_through":                {plan.Info, "It concerns LiteLLM's built-in provider paths. `tollgate endpoint create --template` makes an endpoint that passes a vendor's API on."},
	"max_parallel_requests":              {plan.Warning, "No limit is made of it: more requests may reach the vendor at once than before. `tollgate limit create` limits a key, a team or an endpoint."},
	"stream_timeout":                     {plan.Warning, "Not carried over: timeout holds for streams, too, until they begin."},
	"max_retries":                        ownRetries,
	"num_retries":                        ownRetries,
	"cooldown_time":                      ownHealth,
	"allowed_fails":                      ownHealth,
	"drop_params":                        dropsParams,
	"additional_drop_params":             dropsParams,
	"modify_params":                      dropsParams,
	"tags":                               {plan.Warning, "Requests are not chosen by tags: every caller of the model reaches this deployment."},
	"max_budget":                         ownSpend,
	"budget_duration":                    ownSpend,
	"mock_response":                      {plan.Refused, "The deployment is not imported. Tollgate makes up no answers."},
	"litellm_credential_name":            {plan.Refused, "The deployment is not imported. Named credentials are not read: write api_key and api_base here."},
	"guardrails":                         {plan.Refused, "The deployment is not imported. Tollgate has no guardrails, and without them content would pass that LiteLLM blocks."},
	"azure_ad_token":                     otherCloud,
	"azure_ad_token_provider":            otherCloud,
	"tenant_id":                          otherCloud,
	"client_id":                          otherCloud,
	"client_secret":                      otherCloud,
	"azure_username":                     otherCloud,
	"azure_password":                     otherCloud,
	"aws_access_key_id":                  otherCloud,
	"aws_secret_access_key":              otherCloud,
	"aws_region_name":                    otherCloud,
	"vertex_project":                     otherCloud,
	"vertex_credentials":                 otherCloud,
	"input_cost_per_second":              {plan.Refused, "The deployment is not imported. Models are priced by their tokens; a price of time is one of an endpoint that passes requests on."},
	"merge_reasoning_content_in_choices": {plan.Info, "Thoughts come in the field that the caller's schema has for them."},
	"region_name":                        {plan.Info, "Deployments are not chosen by region."},
	"model_info":                         {plan.Info, "LiteLLM reads it beside litellm_params."},
	"litellm_trace_id":                   {plan.Info, "It concerns LiteLLM's logs."},
	"cache_control_injection_points":     {plan.Refused, "The deployment is not imported. Tollgate marks nothing to be cached that callers have not marked."},
}

// modelInfo are fields of model_info that no code here reads.
var modelInfo = table{
	"access_groups":                   {plan.Warning, "Access groups are not imported. `tollgate key create --models` says which models a key may ask for."},
	"team_id":                         {plan.Refused, "The model is for all keys now. `tollgate key create --models` says which models a key may ask for."},
	"db_model":                        {plan.Info, "It says where LiteLLM has the model from."},
	"description":                     otherInfo,
	"max_tokens":                      otherInfo,
	"max_input_tokens":                otherInfo,
	"max_output_tokens":               otherInfo,
	"litellm_provider":                otherInfo,
	"supports_function_calling":       otherInfo,
	"supports_vision":                 otherInfo,
	"supports_reasoning":              otherInfo,
	"supports_response_schema":        otherInfo,
	"supports_prompt_caching":         otherInfo,
	"health_check_model":              {plan.Info, "Tollgate asks vendors of models nothing by itself."},
	"disable_background_health_check": {plan.Info, "Tollgate asks vendors of models nothing by itself."},
}

var otherInfo = remark{plan.Info, "It describes the model, and changes nothing."}

var routerSettings = table{
	"num_retries":                   ownRetries,
	"retry_after":                   ownRetries,
	"retry_policy":                  ownRetries,
	"model_group_retry_policy":      ownRetries,
	"allowed_fails":                 ownHealth,
	"allowed_fails_policy":          ownHealth,
	"cooldown_time":                 ownHealth,
	"disable_cooldowns":             ownHealth,
	"fallbacks":                     noFallbacks,
	"default_fallbacks":             noFallbacks,
	"context_window_fallbacks":      noFallbacks,
	"content_policy_fallbacks":      noFallbacks,
	"max_fallbacks":                 noFallbacks,
	"timeout":                       ownTimeout,
	"stream_timeout":                ownTimeout,
	"enable_pre_call_checks":        {plan.Info, "A request that is too long for one deployment is not sent to another one for it."},
	"enable_tag_filtering":          {plan.Warning, "Requests are not chosen by tags: every caller of a model reaches all its deployments."},
	"routing_strategy_args":         {plan.Info, "Nothing is made of it: deployments are chosen by their weights."},
	"provider_budget_config":        ownBudgets,
	"optional_pre_call_checks":      {plan.Info, "Nothing is made of it: LiteLLM's checks are not run."},
	"redis_host":                    otherStore,
	"redis_port":                    otherStore,
	"redis_password":                otherStore,
	"redis_url":                     otherStore,
	"cache_responses":               {plan.Info, "Tollgate caches no responses."},
	"cache_kwargs":                  {plan.Info, "Tollgate caches no responses."},
	"caching_groups":                {plan.Info, "Tollgate caches no responses."},
	"set_verbose":                   {plan.Info, "The level of logs is a setting of each Tollgate process."},
	"debug_level":                   {plan.Info, "The level of logs is a setting of each Tollgate process."},
	"default_max_parallel_requests": ownLimits,
	"default_litellm_params":        {plan.Warning, "LiteLLM adds them to requests that have none. Tollgate adds nothing to requests: callers have to send them."},
}
