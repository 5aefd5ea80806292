/** The hop at which the gateway itself has kept the request. */
import { expect, test } from 'vitest'
import { gatewayWith, openAIBackend, under } from './support/configuration.ts'
import {
  examined,
  failure,
  KEY,
  matching,
  ok,
  open,
  provider,
  serveText,
  useDoctorLab,
} from './support/doctor-lab.ts'
import { runGateway } from './support/gateway.ts'

useDoctorLab()

const TOKEN = 'a-token-of-the-console'

const run = (database: object, environment: Readonly<Record<string, string>> = {}) =>
  open(
    runGateway(
      gatewayWith([{ name: 'chat', matches: under('/v1'), backends: [openAIBackend(provider)] }], {
        config: { database },
      }),
      environment,
    ),
  )

test('it is found there, as the trace that Jaeger would have', async () => {
  const gateway = await run({ url: 'sqlite::memory:' })
  const report = await examined({ gateway, at: { console: gateway.adminUrl } })
  expect(report.console).toMatchObject(ok(/has the request, 3 spans of POST \/v1\/\* → chat /))
})

test('it is absent where nothing listens, where nothing is kept, and where somebody else is', async () => {
  const gateway = await run({ url: 'off' })
  const report = await examined({ gateway })
  expect(report.console).toMatchObject({ status: 'absent', detail: matching(/nothing listens/) })
  const off = await examined({ gateway, at: { console: gateway.adminUrl } })
  expect(off.console).toMatchObject({ status: 'absent', detail: matching(/config.database.url is off/) })
  const other = await open(serveText('hello'))
  const strange = await examined({ gateway, at: { console: other.url } })
  expect(strange.console).toMatchObject(failure(/another program/, /--console/))
})

test('it says that it is another gateway that does not have it', async () => {
  const gateway = await run({ url: 'off' })
  const another = await run({ url: 'sqlite::memory:' })
  const report = await examined({ gateway, at: { console: another.adminUrl } })
  expect(report.console).toMatchObject(failure(/does not have the request/, /another gateway/))
})

test('it presents the token that it is given, and shows it nowhere', async () => {
  const gateway = await run({ url: 'sqlite::memory:' }, { ADMIN_ADDR: '0.0.0.0:0', ADMIN_TOKEN: TOKEN })
  const at = { console: gateway.adminUrl }
  expect((await examined({ gateway, at })).console).toMatchObject(failure(/asks for a token/, /ADMIN_TOKEN/))
  const report = await examined({ gateway, at, adminToken: TOKEN })
  expect(report.console).toMatchObject(ok(/has the request/))
  expect(JSON.stringify(report)).not.toContain(TOKEN)
  expect(JSON.stringify(report)).not.toContain(KEY)
})
