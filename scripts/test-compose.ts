/**
 * `npm run test:compose`: brings docker-compose.yml up with its demo profile, in a project of its own, lets `doctor`
 * follow a request through it, and takes it down again. Needs a Docker engine and the ports; says so where there is none.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const folder = fileURLToPath(new URL('../observability', import.meta.url))
const file = readFileSync(`${folder}/docker-compose.yml`, 'utf8')
const { services } = parse(file, { merge: true }) as {
  readonly services: Readonly<Record<string, { readonly command?: readonly string[] }>>
}
/** Through the port in front of the simulated providers: no key is needed. */
const doctor = (services.doctor?.command ?? []).map((argument) =>
  argument.startsWith('--gateway=') ? '--gateway=http://agentgateway:3100' : argument,
)

function compose(...args: readonly string[]): number {
  console.log(`\n$ docker compose ${args.join(' ')}`)
  const { status } = spawnSync(
    'docker',
    ['compose', '-p', 'agentgateway-test', '--profile', 'demo', '--profile', 'doctor', ...args],
    { cwd: folder, stdio: 'inherit' },
  )
  return status ?? 1
}

if (spawnSync('docker', ['info']).status !== 0) {
  console.log('test:compose: not run, there is no Docker engine here')
} else {
  const up = compose(
    'up',
    '-d',
    '--build',
    '--wait',
    'agentgateway',
    'jaeger',
    'prometheus',
    'grafana',
    'otel-collector',
  )
  const examined = up === 0 ? compose('up', '-d', 'demo-providers', 'demo-traffic') : up
  const failed = examined === 0 ? compose('run', '--rm', 'doctor', ...doctor) : examined
  if (failed !== 0) compose('logs', '--tail', '30')
  compose('down', '-v')
  console.log(failed === 0 ? 'test:compose: 1 passed, 0 failed' : 'test:compose: 0 passed, 1 failed')
  process.exitCode = failed === 0 ? 0 : 1
}
