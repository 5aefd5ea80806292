/** The access line of one exchange among many. */
import type { RunningGateway } from './gateway.ts'
import type { Reply } from './wire.ts'

/** Found by the trace id that the client was given, so tests may run beside each other. */
export async function recordOf(
  gateway: RunningGateway,
  { headers }: Reply,
): Promise<Readonly<Record<string, unknown>>> {
  for (let count = 1; ; count++) {
    const record = (await gateway.recorded(count)).at(-1)
    if (record !== undefined && record['trace.id'] === headers['x-trace-id']) return record
  }
}
