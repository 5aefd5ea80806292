/** A process of its own: the simulated provider, the same answer again and again. Script as JSON; prints its port. */
import { startSimulatedOpenAI } from '../src/demo/provider.ts'
import { scriptSchema } from '../src/demo/script.ts'

const defaults = scriptSchema.parse(JSON.parse(process.argv[2] ?? '{}'))
// The ledger keeps whole requests; nobody reads it here.
const provider = await startSimulatedOpenAI({ fixed: true, keptCalls: 10, defaults })
console.log(provider.port)
