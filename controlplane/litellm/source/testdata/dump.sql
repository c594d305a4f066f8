--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

CREATE TABLE public."LiteLLM_BudgetTable" (
    budget_id text NOT NULL,
    max_budget double precision,
    soft_budget double precision,
    max_parallel_requests integer,
    tpm_limit bigint,
    rpm_limit bigint,
    model_max_budget jsonb,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    created_by text NOT NULL
);

CREATE TABLE public."LiteLLM_Config" (
    param_name text NOT NULL,
    param_value jsonb
);

CREATE TABLE public."LiteLLM_EndUserTable" (
    user_id text NOT NULL,
    alias text,
    spend double precision DEFAULT 0.0 NOT NULL,
    allowed_model_region text,
    default_model text,
    budget_id text,
    blocked boolean DEFAULT false NOT NULL
);

CREATE TABLE public."LiteLLM_OrganizationTable" (
    organization_id text NOT NULL,
    organization_alias text NOT NULL,
    budget_id text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    models text[],
    spend double precision DEFAULT 0.0 NOT NULL
);

CREATE TABLE public."LiteLLM_TagTable" (
    tag_name text NOT NULL,
    description text,
    models text[],
    spend double precision DEFAULT 0.0 NOT NULL,
    budget_id text
);

CREATE TABLE public."LiteLLM_TeamMembership" (
    user_id text NOT NULL,
    team_id text NOT NULL,
    spend double precision DEFAULT 0.0 NOT NULL,
    budget_id text
);

CREATE TABLE public."LiteLLM_TeamTable" (
    team_id text NOT NULL,
    team_alias text,
    organization_id text,
    members_with_roles jsonb DEFAULT '{}'::jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_budget double precision,
    spend double precision DEFAULT 0.0 NOT NULL,
    models text[],
    max_parallel_requests integer,
    tpm_limit bigint,
    rpm_limit bigint,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    blocked boolean DEFAULT false NOT NULL
);

CREATE TABLE public."LiteLLM_UserTable" (
    user_id text NOT NULL,
    user_alias text,
    user_email text,
    user_role text,
    max_budget double precision,
    spend double precision DEFAULT 0.0 NOT NULL,
    models text[],
    max_parallel_requests integer,
    tpm_limit bigint,
    rpm_limit bigint,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone
);

CREATE TABLE public."LiteLLM_SpendLogs" (
    request_id text NOT NULL,
    spend double precision
);

CREATE TABLE public."LiteLLM_VerificationToken" (
    token text NOT NULL,
    key_name text,
    key_alias text,
    soft_budget_cooldown boolean DEFAULT false NOT NULL,
    spend double precision DEFAULT 0.0 NOT NULL,
    expires timestamp(3) without time zone,
    models text[],
    aliases jsonb DEFAULT '{}'::jsonb NOT NULL,
    user_id text,
    team_id text,
    permissions jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_parallel_requests integer,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    blocked boolean,
    tpm_limit bigint,
    rpm_limit bigint,
    max_budget double precision,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    allowed_routes text[] DEFAULT ARRAY[]::text[],
    model_max_budget jsonb DEFAULT '{}'::jsonb NOT NULL,
    budget_id text,
    organization_id text
);

COPY public."LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration, budget_reset_at, created_by) FROM stdin;
bud-free	1	\N	\N	\N	30	\N	30d	2026-12-01 00:00:00	admin
bud-org	1000	\N	\N	\N	\N	\N	30d	2026-12-01 00:00:00	admin
bud-member	25	\N	\N	\N	\N	\N	7d	2026-11-30 00:00:00	admin
bud-tag	40	\N	\N	\N	\N	\N	1d	2026-11-24 00:00:00	admin
\.

COPY public."LiteLLM_Config" (param_name, param_value) FROM stdin;
general_settings	{"pass_through_endpoints": [{"id": "b6a0", "path": "/bria", "target": "https://engine.prod.bria-api.com", "headers": {"api_token": "os.environ/BRIA_API_TOKEN"}, "include_subpath": true, "cost_per_request": 12, "auth": true}, {"id": "b6a1", "path": "/v1/rerank", "target": "https://api.cohere.com/v1/rerank", "headers": {"Authorization": "bearer os.environ/COHERE_API_KEY"}, "cost_per_request": 0.002, "auth": true}], "alerting": ["slack"]}
environment_variables	{"SMTP_HOST": "gAAAAABencrypted"}
\.

COPY public."LiteLLM_EndUserTable" (user_id, alias, spend, allowed_model_region, default_model, budget_id, blocked) FROM stdin;
acme	Acme \\ Sons	0.75	\N	\N	bud-free	f
globex	\N	0	\N	\N	\N	t
two words	\N	0	\N	\N	\N	f
\.

COPY public."LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, metadata, models, spend) FROM stdin;
org-1	Research	bud-org	{}	{}	123.456789012345
\.

COPY public."LiteLLM_TagTable" (tag_name, description, models, spend, budget_id) FROM stdin;
nightly	Nightly\njobs	{}	3.5	bud-tag
\.

COPY public."LiteLLM_TeamMembership" (user_id, team_id, spend, budget_id) FROM stdin;
ann	team-1	4.25	bud-member
\.

COPY public."LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, metadata, max_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, blocked) FROM stdin;
team-1	Marketing Europe	org-1	[{"role": "admin", "user_id": "ann", "user_email": null}, {"role": "user", "user_id": "service-account"}]	{"cost_center": 4711}	500	61.2	{}	\N	\N	600	30d	2026-12-01 00:00:00	f
team-2	web	\N	[]	{"allowed_passthrough_routes": ["/bria"]}	\N	0	{}	\N	\N	\N	\N	\N	f
\.

COPY public."LiteLLM_UserTable" (user_id, user_alias, user_email, user_role, max_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at) FROM stdin;
ann	Ann	Ann@Example.com	internal_user	20	5.5	{}	\N	\N	\N	7d	2026-11-30 00:00:00
service-account	\N	\N	internal_user	\N	0	{}	\N	\N	\N	\N	\N
default_user_id	\N	\N	proxy_admin	\N	0	{}	\N	\N	\N	\N	\N
litellm-proxy-budget	\N	\N	\N	\N	250	{}	\N	\N	\N	30d	2026-12-01 00:00:00
\.

COPY public."LiteLLM_SpendLogs" (request_id, spend) FROM stdin;
chatcmpl-1	0.1
chatcmpl-2	\N
\.

COPY public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, user_id, team_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_routes, model_max_budget, budget_id, organization_id) FROM stdin;
d419bfdd0a0d181d3fe3ae3c31d04e6b7cc20aa7289e5e3430e55fd15a380cb3	sk-...0001	ci-bot	f	36.000000000000004	\N	{}	{}	ann	team-1	{}	\N	{"tags": ["nightly"], "note": "a \\"b\\" c"}	\N	\N	120	60	30d	2026-12-01 00:00:00	{/bria,/bria/*}	{}	\N	\N
de41151f3fa6089bd9aea878111276be901854ac275e7accc31a8d9f2c64abd9	sk-...nd-1	Web Frontend (prod)	f	2	2027-03-01 12:00:00	{}	{}	\N	team-2	{}	\N	{}	\N	\N	\N	10	1d	2026-11-01 00:00:00	{}	{}	\N	\N
1d9e589fbff2a5da996845a902d79b12fa23d43b22ea5b1ccbb97b00dd2dbe1c	sk-...-001	blocked-one	f	0	\N	{}	{}	\N	\N	{}	\N	{}	t	\N	\N	\N	\N	\N	{}	{}	\N	\N
d7eb7ace4eddb0a692643a5f7180dc30cafcdffa2df1bc1692f33849ba2727dd	sk-...-001	expired-one	f	0	2025-01-01 00:00:00	{}	{}	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	\N	\N
780e7d7556c794706f21c7f5aa785e79161d615bec63e7015be5dc9cf67fde17	sk-...on-1	\N	f	0	2026-11-24 00:00:00	{}	{}	default_user_id	litellm-dashboard	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	\N	\N
d1f302ab4df87c787644cfdaaf5ab60e36bf825b0297bb9fd9a59487d6ca4b06	sk-...ly-1	admin-only	f	0	\N	{}	{}	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{management_routes}	{}	\N	\N
f70312a2db90826b4d304356ced17ebf90c4a716d5ae988a14af74830518adc8	sk-...s-01	\N	f	0	\N	{gpt-4o,claude-3-5-sonnet}	{}	\N	\N	{}	5	{}	\N	\N	\N	3	12h	\N	{}	{}	\N	\N
f72209e781f727860af39a30474412b855e2f41cdd08a328a44a0e01a24df5e3	sk-...vy-1	heavy	f	99.9999999999	\N	{}	{}	\N	team-1	{}	\N	{"temp_budget_increase": 15.5, "temp_budget_expiry": "2026-12-24T00:00:00+00:00", "guardrails": []}	\N	\N	\N	100	\N	\N	{}	{"gpt-4o": {"budget_limit": 1}}	\N	\N
\.

-- PostgreSQL database dump complete
