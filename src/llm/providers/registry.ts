/** Configured provider -> provider. One line each. */
import type { ProviderConfig } from '../schema.ts'
import { anthropic } from './anthropic.ts'
import { customProvider } from './custom.ts'
import { openAI } from './openai.ts'
import type { Provider } from './provider.ts'

export function providerOf(config: ProviderConfig): {
  readonly provider: Provider
  readonly pin: string | undefined
} {
  if (config.openAI !== undefined) return { provider: openAI, pin: config.openAI.model }
  if (config.anthropic !== undefined) return { provider: anthropic, pin: config.anthropic.model }
  const custom = config.custom ?? {}
  return { provider: customProvider(custom), pin: custom.model }
}
