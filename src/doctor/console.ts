/** Whether the gateway itself has kept the marked request, for its console: the same trace, asked for in the same way as Jaeger's. */
import { count } from './clean.ts'
import { addressOf, type Examination, final, type Look, waiting, watch } from './examination.ts'
import { absent, failed, ok, skipped, type Verdict } from './hops.ts'
import { isFault, parsed, under } from './http.ts'
import { notFound, otlpSpans, treeOf } from './jaeger-trace.ts'

const TOKEN_ADVICE = 'set ADMIN_TOKEN to its `config.adminToken`'
/** Others keep it in their own time. */
const PATIENCE_MS = 3000

export function consoleHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const { addresses, http, seen, traceId, adminToken, clean, isNamed } = examination
  const at = addressOf(examination, 'console')
  const missing = (why: string, advice: string) =>
    final(isNamed('console') ? failed(why, advice) : absent(why))
  return watch(AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]), async (): Promise<Look> => {
    const reply = await http.ask(under(addresses.console, `/api/v3/traces/${traceId}`), {
      signal,
      ...(adminToken !== undefined && { headers: { authorization: `Bearer ${adminToken}` } }),
    })
    if (isFault(reply))
      return missing(
        reply.why,
        'the gateway has it at :15000 unless ADMIN_ADDR or `config.adminAddr` says otherwise',
      )
    const { status, text } = reply
    if (status === 401) return final(failed(`${at} asks for a token`, TOKEN_ADVICE))
    if (status === 503) return final(absent(`${at}: ${clean(text)}`))
    const spans = status === 200 ? otlpSpans(text) : undefined
    if (spans !== undefined)
      return final(ok(`${at} has the request, ${count(spans.length, 'span')} of ${clean(treeOf(spans))}`))
    if (status !== 404 || !notFound.safeParse(parsed(text)).success)
      return missing(`another program answers at ${at}: ${status}`, 'say with --console where it is')
    if (seen.markedAt === undefined)
      return final(skipped(`${at} answers, but there is no marked request to look for`))
    return waiting(
      failed(
        `${at} does not have the request`,
        'it is the console of another gateway, its store takes nothing, or accessLog.database.filter leaves the request out: see its page Configuration',
      ),
    )
  })
}
