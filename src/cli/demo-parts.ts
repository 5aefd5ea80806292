/**
 * The demo's two ends by themselves, for a gateway that runs in another process or container: `demo providers`
 * and `demo traffic`. That gateway needs the demo's routes (observability/agentgateway-config.yaml has them).
 */
import { type SimulatedProvider, startSimulatedAnthropic, startSimulatedOpenAI } from '../demo/provider.ts'
import { runTraffic } from '../demo/traffic.ts'

interface Output {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

function interrupted(): AbortSignal {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  return stop.signal
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

/** Resolves with the exit status. */
export async function demoProviders(
  options: Output & { readonly host: string; readonly port: number },
): Promise<number> {
  const { host, port, stdout, stderr } = options
  const stop = interrupted()
  const providers: SimulatedProvider[] = []
  try {
    providers.push(await startSimulatedOpenAI({ host, port }))
    providers.push(await startSimulatedAnthropic({ host, port: port === 0 ? 0 : port + 1 }))
    const [openAI, anthropic] = providers
    stdout.write(`simulated providers: ${openAI?.url} (as OpenAI), ${anthropic?.url} (as Anthropic)\n`)
    await aborted(stop)
    return 0
  } catch (error) {
    stderr.write(`agentgateway: the simulated providers cannot start: ${messageOf(error)}\n`)
    return 1
  } finally {
    await Promise.all(providers.map((provider) => provider.close()))
  }
}

/** Seldom, for it ends in a container's log. */
const REPORT_MS = 30_000

/** Resolves with the exit status. A gateway that is away is no reason to end: it may come back. */
export async function demoTraffic(
  options: Output & { readonly gatewayUrl: string; readonly rate: number },
): Promise<number> {
  const { gatewayUrl, rate, stdout } = options
  const stop = interrupted()
  let sent = 0
  let unexpected = 0
  let lastOdd: string | undefined
  stdout.write(`sending ${rate} requests per second to ${gatewayUrl}\n`)
  const report = () => {
    const odd = lastOdd === undefined ? '' : `, the last: ${lastOdd}`
    stdout.write(`sent ${sent}, of which ${unexpected} did not end as planned${odd}\n`)
    lastOdd = undefined
  }
  const timer = setInterval(report, REPORT_MS)
  try {
    await runTraffic({
      gatewayUrl,
      rate,
      signal: stop,
      // A traffic that is started anew must not repeat the trace ids of the last one: its spans would mix with theirs.
      seed: Date.now(),
      onSent({ planned, asExpected, status, ending, error }) {
        if (stop.aborted) return
        sent++
        if (asExpected) return
        unexpected++
        lastOdd = `${planned.name}: ${ending}${status === 0 ? '' : ` ${status}`}${error === undefined ? '' : ` (${error})`}`
      },
    })
  } finally {
    clearInterval(timer)
    report()
  }
  return 0
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
