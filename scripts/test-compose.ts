/**
 * `npm run test:compose`: brings docker-compose.yml up with its demo profile, in a project of its own, lets `doctor`
 * follow a request through it, and takes it down again. Needs a Docker engine and the ports; says so where there is none.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../observability', import.meta.url))

function compose(...args: readonly string[]): number {
  console.log(`\n$ docker compose ${args.join(' ')}`)
  const { status } = spawnSync('docker', ['compose', '-p', 'agentgateway-test', ...args], {
    cwd: folder,
    stdio: 'inherit',
  })
  return status ?? 1
}

if (spawnSync('docker', ['info']).status !== 0) {
  console.log('test:compose: not run, there is no Docker engine here')
} else {
  const up = compose('--profile', 'demo', 'up', '-d', '--build', '--wait')
  // Through the port in front of the simulated providers: no key is needed. The last of two `--gateway` counts.
  const failed = up === 0 ? compose('run', '--rm', 'doctor', '--gateway=http://agentgateway:3100') : up
  if (failed !== 0) compose('--profile', 'demo', 'logs', '--tail', '30')
  compose('--profile', 'demo', 'down', '-v')
  console.log(failed === 0 ? 'test:compose: 1 passed, 0 failed' : 'test:compose: 0 passed, 1 failed')
  process.exitCode = failed === 0 ? 0 : 1
}
