/** What it costs, and how far the figures can be trusted. */
import { countedInRange } from './counted.ts'
import { bars, COUNT, graph, MODEL, NO_TRAFFIC, orZero, perSecond, type Row, share, stat } from './panels.ts'

const COST = `agentgateway_gen_ai_client_cost_usd_total{${MODEL}}`
const USAGE_SOURCE = 'agentgateway_gen_ai_client_usage_source_total'

export const cost: Row = {
  title: 'Cost',
  panels: [
    graph({
      title: 'Cost per hour by model',
      description:
        'What an hour would cost at the present pace, in US dollars, of the requests whose price is known. Compare with "Unpriced requests", which cost nothing here.',
      unit: 'currencyUSD',
      width: 12,
      stacked: true,
      noValue: NO_TRAFFIC,
      calcs: ['mean', 'max', 'lastNotNull'],
      queries: [{ expr: `sum by (model) (rate(${COST}[$__rate_interval])) * 3600`, legend: '{{model}}' }],
    }),
    stat({
      title: 'Total cost',
      description:
        'US dollars within the time range shown (choose "Today" for today), of the requests whose price is known.',
      unit: 'currencyUSD',
      width: 4,
      height: 8,
      queries: [{ expr: orZero(`sum(${countedInRange(COST)})`) }],
    }),
    bars({
      title: 'Unpriced requests',
      description:
        'Requests within the time range shown that no price was found for, by model and reason: they are missing from the cost. Add the model to the catalog.',
      unit: COUNT,
      width: 8,
      noValue: 'none',
      queries: [
        {
          expr: `sort_desc(sum by (model, status) (${countedInRange(`agentgateway_cost_catalog_lookups_total{${MODEL}, status!="Exact"}`)}) > 0)`,
          legend: '{{model}} ({{status}})',
        },
      ],
    }),
    bars({
      title: 'Budgets',
      description:
        'How much of each budget is spent in its present window; of one with keys, by the key that has spent the most.',
      unit: 'percentunit',
      width: 8,
      noValue: 'no budgets',
      queries: [
        {
          expr: 'sort_desc(max by (budget, unit) (agentgateway_budget_used) / max by (budget, unit) (agentgateway_budget_limit))',
          legend: '{{budget}}',
        },
      ],
    }),
    bars({
      title: 'Taken from budgets',
      description: 'Within the time range shown, of all keys together: US dollars or tokens.',
      unit: 'short',
      width: 8,
      noValue: 'no budgets',
      queries: [
        {
          expr: `sort_desc(sum by (budget, unit) (${countedInRange('agentgateway_budget_spent_total')}) > 0)`,
          legend: '{{budget}} ({{unit}})',
        },
      ],
    }),
    bars({
      title: 'Requests beyond budgets',
      description:
        'Requests within the time range shown that came when a budget was spent, and what its action was: refused, or let through with a warning.',
      unit: COUNT,
      width: 8,
      noValue: 'none',
      queries: [
        {
          expr: `sort_desc(sum by (budget, action) (${countedInRange('agentgateway_budget_exceeded_total')}) > 0)`,
          legend: '{{budget}} ({{action}})',
        },
      ],
    }),
    graph({
      title: 'Cached-token share',
      description:
        'Share of the input tokens that came from a cache of the provider, which is cheaper. A drop after a release: the beginnings of the prompts vary now.',
      unit: 'percentunit',
      max: 1,
      width: 12,
      noValue: NO_TRAFFIC,
      queries: [
        {
          expr: share(
            perSecond(
              `agentgateway_gen_ai_client_token_details_total{${MODEL}, token_type="input_cache_read"}`,
            ),
            perSecond(`agentgateway_gen_ai_client_token_usage_sum{${MODEL}, token_type="input"}`),
          ),
          legend: 'read from cache',
        },
      ],
    }),
    graph({
      title: "Requests without the provider's token count",
      description:
        'Share of requests whose tokens are a lower bound (the stream was cut), an estimate, or unknown (mostly failures). The higher, the rougher are tokens and cost.',
      unit: 'percentunit',
      max: 1,
      width: 12,
      noValue: NO_TRAFFIC,
      queries: ['partial', 'estimated', 'none'].map((source) => ({
        expr: share(
          perSecond(`${USAGE_SOURCE}{${MODEL}, usage_source="${source}"}`),
          perSecond(`${USAGE_SOURCE}{${MODEL}}`),
        ),
        legend: source,
      })),
    }),
  ],
}
