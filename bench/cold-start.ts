/** Cell 5: from the start of the process to its first proxied answer. */
import { now } from './clock.ts'
import { waitFor } from './processes.ts'
import { ANSWER_TEXT_BYTES } from './requests.ts'
import type { Settings } from './settings.ts'
import { type Spread, spread } from './statistics.ts'
import { firstAnswer, type Setup, spawnGateway, startProvider } from './targets.ts'

const STARTS = 5

export interface ColdStart {
  readonly firstAnswerMs: Spread
  /** Of a Node process that does nothing, start to end: what no Node program can undercut. */
  readonly emptyNodeMs: Spread
}

export async function coldStart(setup: Setup, settings: Settings): Promise<ColdStart> {
  const provider = await startProvider(setup.stage, { textBytes: ANSWER_TEXT_BYTES })
  const starts: number[] = []
  const empty: number[] = []
  for (let start = 0; start < (settings.quick ? 2 : STARTS); start++) {
    const begun = now()
    const gateway = await spawnGateway(setup, provider.port)
    await firstAnswer(gateway)
    starts.push(now() - begun)
    await gateway.proxy?.stop()

    const emptyBegun = now()
    const nothing = setup.stage.start({ name: 'empty', command: [process.execPath, '-e', '0'], on: 'proxy' })
    await waitFor('an empty process', nothing.failure)
    empty.push(now() - emptyBegun)
    settings.progress(`cold start: ${Math.round(starts.at(-1) ?? 0)} ms`)
  }
  await provider.child.stop()
  return { firstAnswerMs: spread(starts), emptyNodeMs: spread(empty) }
}
