/** The metrics that panels are made of, each with the labels by which a panel tells its series apart. */
import type { MetricLabels } from '../../core/labels.ts'

const DISTRIBUTION = ['le']

/** Over the range that is shown. */
export const RANGE_METRICS: MetricLabels = {
  agentgateway_requests_total: ['status', 'backend', 'outcome', 'error_type'],
  agentgateway_gen_ai_client_token_usage_sum: ['token_type', 'model'],
  agentgateway_gen_ai_client_token_details_total: ['token_type'],
  agentgateway_gen_ai_client_cost_usd_total: ['model'],
  agentgateway_cost_catalog_lookups_total: ['status', 'model'],
  agentgateway_gen_ai_client_usage_source_total: ['usage_source'],
  agentgateway_gen_ai_server_time_per_output_token_bucket: DISTRIBUTION,
  agentgateway_gen_ai_server_time_per_output_token_count: ['model'],
  agentgateway_gen_ai_server_time_per_output_token_sum: ['model'],
  agentgateway_request_duration_seconds_bucket: DISTRIBUTION,
  agentgateway_gen_ai_server_request_duration_bucket: DISTRIBUTION,
  agentgateway_gen_ai_server_time_to_first_token_bucket: DISTRIBUTION,
  agentgateway_retries_total: [],
  agentgateway_backend_evictions_total: ['backend'],
  agentgateway_guardrail_checks_total: ['phase', 'action'],
  agentgateway_budget_spent_total: ['budget', 'unit'],
  agentgateway_budget_exceeded_total: ['budget', 'action'],
  agentgateway_requests_in_flight: [],
  agentgateway_upstream_call_duration_seconds_bucket: DISTRIBUTION,
  agentgateway_upstream_connect_duration_seconds_bucket: DISTRIBUTION,
  tool_calls_total: ['server', 'name'],
  tool_call_errors_total: [],
  list_calls_total: [],
  read_resource_calls_total: [],
  get_prompt_calls_total: [],
  agentgateway_mcp_request_duration_seconds_bucket: ['method', 'le'],
  agentgateway_mcp_requests_total: ['method', 'server', 'status', 'error_type'],
  agentgateway_mcp_target_restarts_total: [],
  agentgateway_telemetry_dropped_total: ['signal'],
  agentgateway_metric_overflow_total: [],
  agentgateway_metric_label_overflow_total: [],
  agentgateway_config_reloads_total: ['result'],
  agentgateway_overhead_seconds_bucket: DISTRIBUTION,
  agentgateway_request_processing_seconds_bucket: DISTRIBUTION,
  agentgateway_response_processing_seconds_bucket: DISTRIBUTION,
  agentgateway_stream_chunk_delay_seconds_bucket: DISTRIBUTION,
  agentgateway_stream_stalled_seconds_total: [],
  agentgateway_event_loop_delay_seconds_bucket: DISTRIBUTION,
  process_resident_memory_bytes: [],
  agentgateway_heap_used_bytes: [],
  agentgateway_heap_total_bytes: [],
  agentgateway_heap_limit_bytes: [],
  process_cpu_seconds_total: [],
  agentgateway_gc_duration_seconds_sum: ['kind'],
  agentgateway_workers: [],
  agentgateway_worker_restarts_total: [],
  agentgateway_downstream_connections_active: [],
  agentgateway_downstream_connections_total: [],
  agentgateway_response_bytes_total: ['backend'],
}

/** Over the last hour, whatever is shown. */
export const HOUR_METRICS: MetricLabels = {
  agentgateway_requests_total: ['status'],
  agentgateway_gen_ai_client_token_usage_sum: [],
  agentgateway_mcp_target_up: ['backend', 'server'],
  agentgateway_backend_up: ['group', 'backend'],
  agentgateway_budget_used: ['budget', 'unit'],
  agentgateway_budget_limit: ['budget', 'unit'],
  agentgateway_mcp_sessions_active: [],
  agentgateway_config_synchronized: [],
  agentgateway_build_info: ['version'],
}

/** All of which a history is needed. Those of the hour have no label that they have not over the range. */
export const KEPT_METRICS: MetricLabels = { ...HOUR_METRICS, ...RANGE_METRICS }
