/** From the start of the process to its first proxied answer, and the memory that it rests in. */
import { residentBytes } from '../accounting.ts'
import type { CellResult, Measure } from '../cell.ts'
import { now, sleep } from '../clock.ts'
import { waitFor } from '../processes.ts'
import { settleMs } from '../settings.ts'
import { spread, spreadOf } from '../statistics.ts'
import { spreadText } from '../table.ts'
import { firstAnswer, listening, spawnGateway, startProvider } from '../targets.ts'

const STARTS = 5
const FIRST_ANSWER_MS = 300
const IDLE_MB = 80

export const start: Measure = async (setup, settings) => {
  const provider = await startProvider(setup.stage)
  const resident = (pid: number) => {
    const bytes = residentBytes(pid)
    return bytes === undefined ? undefined : bytes / 1e6
  }
  const firstAnswerMs: number[] = []
  const emptyNodeMs: number[] = []
  const idleMb: (number | undefined)[] = []
  const afterAnswerMb: (number | undefined)[] = []
  for (let count = 0; count < (settings.quick ? 1 : STARTS); count++) {
    const begun = now()
    const gateway = await spawnGateway(setup, provider.port)
    await firstAnswer(gateway)
    firstAnswerMs.push(now() - begun)
    await sleep(settleMs(settings))
    afterAnswerMb.push(resident(gateway.proxy.pid))
    await gateway.proxy.stop()

    const idle = await spawnGateway(setup, provider.port)
    await listening(idle)
    await sleep(settleMs(settings))
    idleMb.push(resident(idle.proxy.pid))
    await idle.proxy.stop()

    const emptyBegun = now()
    const nothing = setup.stage.start({ name: 'empty', command: [process.execPath, '-e', '0'], on: 'proxy' })
    await waitFor('an empty process', nothing.failure)
    emptyNodeMs.push(now() - emptyBegun)
    settings.progress(`${Math.round(firstAnswerMs.at(-1) ?? 0)} ms`)
  }
  await provider.child.stop()
  const memory = spreadOf(idleMb)
  return {
    about: 'everything on; an empty Node.js is what no program of it can undercut',
    table: {
      head: ['', ''],
      rows: [
        ['spawn to first proxied answer', `${spreadText(spread(firstAnswerMs))} ms`],
        ['an empty Node process, start to end', `${spreadText(spread(emptyNodeMs))} ms`],
        ['resident, idle, no request yet', `${spreadText(memory, 1)} MB`],
        ['resident, after the first answer', `${spreadText(spreadOf(afterAnswerMb), 1)} MB`],
      ],
    },
    aims: [
      {
        what: 'start to first proxied byte',
        bound: { atMost: FIRST_ANSWER_MS },
        unit: 'ms',
        value: spread(firstAnswerMs),
      },
      { what: 'resident memory, idle', bound: { atMost: IDLE_MB }, unit: 'MB', value: memory },
    ],
    dropped: [],
    invalid: [],
    figures: { firstAnswerMs, emptyNodeMs, idleMb, afterAnswerMb },
  } satisfies CellResult
}
