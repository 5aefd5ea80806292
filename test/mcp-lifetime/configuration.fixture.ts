/** A configuration as it would come from a file. */
import { loadConfig } from '../../src/config/load.ts'
import type { RunningGateway } from '../support/gateway.ts'

export async function reload({ gateway }: RunningGateway, yaml: string): Promise<void> {
  const loaded = loadConfig({ text: yaml, file: 'test.yaml', environment: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  await gateway.reload(loaded.config)
}

/** Where each problem is, and what it says; empty when there is none. */
export function problemsOf(yaml: string): { path: string; line: number; message: string }[] {
  const loaded = loadConfig({ text: yaml, file: 'test.yaml', environment: {} })
  return loaded.ok ? [] : loaded.problems.map(({ path, line, message }) => ({ path, line, message }))
}
