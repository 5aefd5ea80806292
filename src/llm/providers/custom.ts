/** Any server that speaks one of the known formats. */
import type { ProviderConfig } from '../schema.ts'
import { anthropic, authorizeAnthropic } from './anthropic.ts'
import { authorizeBearer, openAI } from './openai.ts'
import type { Api, Provider } from './provider.ts'

export function customProvider(config: NonNullable<ProviderConfig['custom']>): Provider {
  const all = { ...anthropic.apis, ...openAI.apis }
  const apis: Partial<Record<Api, string>> = { models: all.models }
  const paths: Partial<Record<Api, string>> = {}
  for (const { type, path } of config.formats ?? [{ type: 'completions', path: undefined } as const]) {
    apis[type] = all[type]
    if (path !== undefined) paths[type] = path
  }
  const speaksOnlyMessages =
    apis.messages !== undefined && apis.completions === undefined && apis.responses === undefined
  return {
    name: config.providerOverride ?? 'custom',
    host: undefined,
    port: 80,
    basePath: '/v1',
    apis,
    paths,
    authorize: speaksOnlyMessages ? authorizeAnthropic : authorizeBearer,
  }
}
