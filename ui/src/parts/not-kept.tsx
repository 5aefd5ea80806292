import { href } from '../navigation/location.ts'
import { CodeBlock } from './code-block.tsx'
import { Page } from './page.tsx'
import { Empty } from './states.tsx'

const EXAMPLE = `config:
  database:
    url: sqlite:/var/lib/agentgateway/requests.db`

/** Instead of a page of requests, where the gateway keeps none. */
export function NotKept({ title }: { readonly title: string }) {
  return (
    <Page title={title}>
      <Empty title="Requests are not kept">
        <p>
          This gateway runs with <code>config.database.url: off</code>, so there is nothing of the past to be
          shown here. Its metrics, its log and the traces that it exports go on as ever. To keep requests,
          leave the line out, or say where:
        </p>
        <CodeBlock title="config.yaml" text={EXAMPLE} />
        <a class="button" href={href('/config')}>
          What it runs with
        </a>
      </Empty>
    </Page>
  )
}
