/**
 * Asks a target from time to time whether it is there: at the start, while it is away, and, over HTTP, twice a
 * minute. A process that nobody uses is not kept running to be asked: once it could be started, its sessions tell.
 */
import type { Target } from './backend.ts'
import { isFailure } from './json-rpc.ts'
import { Link } from './link.ts'
import { cursorOf, entriesOf, LIST_KINDS } from './lists.ts'
import { TargetError } from './transport.ts'
import { LATEST_LEGACY } from './versions.ts'

export interface ProbeOptions {
  readonly target: Target
  readonly version: string
  readonly random: () => number
}

export interface Probe {
  /** Resolves when nothing of it is left. */
  readonly stop: () => Promise<void>
}

const PERIOD_MS = 30_000
const PING_MS = 5000
const MAX_PAGES = 64
/** Probes of many gateways, and of many targets, are not to come all at once. */
const JITTER = 0.2

export function startProbe({ target, version, random }: ProbeOptions): Probe {
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let current: Link | undefined
  let hasLearnt = false
  let running: Promise<void> = Promise.resolve()

  /** The names of tools and prompts: what is known to be there is told by name from the first call on. */
  async function learn(link: Link): Promise<void> {
    for (const kind of LIST_KINDS.values()) {
      const { method, type, capability } = kind
      if ((type !== 'tool' && type !== 'prompt') || link.capabilities[capability] === undefined) continue
      let cursor: string | undefined
      for (let pages = 0; pages < MAX_PAGES; pages++) {
        const params = cursor === undefined ? {} : { cursor }
        const delivery = { headers: {}, traceparent: undefined, tracestate: undefined, call: undefined }
        const answer = await link.request({ method, params, delivery, relay: undefined, timeoutMs: PING_MS })
        if (isFailure(answer)) break
        for (const entry of entriesOf(answer.result, kind)) target.known.add(type, String(entry[kind.key]))
        cursor = cursorOf(answer.result)
        if (cursor === undefined) break
      }
    }
  }

  async function ask(): Promise<void> {
    const link = new Link({
      target: target.name,
      health: target.health,
      openTransport: target.openTransport,
      identity: () => ({
        protocolVersion: LATEST_LEGACY,
        capabilities: {},
        clientInfo: { name: 'agentgateway', version },
      }),
      connectTimeoutMs: target.connectTimeoutMs,
      events: { onRequest() {}, onNotification() {}, onLost() {}, onReturned() {} },
      onRestart() {},
      log() {},
    })
    current = link
    const delivery = { headers: {}, traceparent: undefined, tracestate: undefined, call: undefined }
    try {
      await link.ensureOpen({})
      await link.request({
        method: 'ping',
        params: undefined,
        delivery,
        relay: undefined,
        timeoutMs: PING_MS,
      })
      if (!hasLearnt) {
        await learn(link)
        hasLearnt = true
      }
    } catch (error) {
      const status = error instanceof TargetError ? error.reply?.status : undefined
      // It wants to know who asks: there it is. Of any other failure the link has told.
      if (status === 401 || status === 403) target.health.succeeded()
    } finally {
      await link.close().catch(() => {})
      current = undefined
    }
  }

  function schedule(): void {
    if (isStopped) return
    const isDown = target.health.isUp() === false
    if (!isDown && target.transport === 'pipe') {
      // Its sessions will tell when it fails; then it is asked again.
      timer = setTimeout(schedule, PERIOD_MS)
    } else {
      const wait = isDown ? Math.max(target.health.waitMs(), 500) : PERIOD_MS
      timer = setTimeout(run, wait * (1 + random() * JITTER))
    }
    timer.unref()
  }

  function run(): void {
    running = ask().then(schedule, schedule)
  }

  run()
  return {
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await current?.close().catch(() => {})
      await running
    },
  }
}
