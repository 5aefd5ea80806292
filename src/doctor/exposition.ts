/** The gateway's own /metrics: how much it has counted, what it gave up, and whether a trace is mentioned. */
import type { Examination } from './examination.ts'
import { type Fault, isFault, type Read, under } from './http.ts'

export interface Scrape {
  /** undefined when the family is not there. */
  readonly requests: number | undefined
  readonly droppedSpans: number
  readonly hasOurExemplar: boolean
  readonly hasExemplars: boolean
}

/** Exemplars exist in this format only. */
const ACCEPT = 'application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5'

export async function scrape(examination: Examination, signal: AbortSignal): Promise<Read<Scrape>> {
  const { addresses, http, clean, traceId } = examination
  const reply = await http.ask(under(addresses.metrics, '/metrics'), { signal, headers: { accept: ACCEPT } })
  if (isFault(reply)) return reply
  const { status, text, brokenOff } = reply
  if (brokenOff !== undefined) return brokenOff
  const strange = (why: string): Fault => ({ fault: 'unexpected', why })
  if (status !== 200) return strange(`GET /metrics answered ${status}: ${clean(text)}`)
  if (!/^agentgateway_/m.test(text)) return strange('GET /metrics answered without any agentgateway_ metric')
  return {
    value: {
      requests: sumOf(text, 'agentgateway_requests_total'),
      droppedSpans: sumOf(text, 'agentgateway_telemetry_dropped_total', 'signal="traces"') ?? 0,
      hasOurExemplar: text.includes(`trace_id="${traceId}"`),
      hasExemplars: text.includes(' # {trace_id="'),
    },
  }
}

function sumOf(text: string, name: string, label = ''): number | undefined {
  let sum: number | undefined
  for (const line of text.split('\n')) {
    if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(label)) {
      const [sample = ''] = line.split(' # ')
      sum = (sum ?? 0) + Number(sample.slice(sample.lastIndexOf(' ')))
    }
  }
  return sum
}
