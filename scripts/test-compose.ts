/**
 * `npm run test:compose`: brings docker-compose.yml up with its demo profile, in a project of its own, lets `doctor`
 * follow a request through it, and takes it down again; then the same with the image for Fly. Needs a Docker engine and
 * the ports; says so where there is none.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}observability`

function docker(...args: readonly string[]): number {
  console.log(`\n$ docker ${args.join(' ')}`)
  return spawnSync('docker', args, { cwd: root, stdio: 'inherit' }).status ?? 1
}

const compose = (...args: readonly string[]) =>
  docker('compose', '-f', `${folder}/docker-compose.yml`, '-p', 'agentgateway-test', ...args)

function testCompose(): boolean {
  const up = compose('--profile', 'demo', 'up', '-d', '--build', '--wait')
  // Through the port in front of the simulated providers: no key is needed. The last of two `--gateway` counts.
  const failed = up === 0 ? compose('run', '--rm', 'doctor', '--gateway=http://agentgateway:3100') : up
  if (failed !== 0) compose('--profile', 'demo', 'logs', '--tail', '30')
  compose('--profile', 'demo', 'down', '-v')
  return failed === 0
}

/** Values, where Fly has secrets. */
const FLY_SECRETS = [
  ...['OPENAI_API_KEY=none', 'GATEWAY_API_KEY=gw-test', 'GF_SECURITY_ADMIN_PASSWORD=grafana-test'],
  ...['PROMETHEUS_PASSWORD=prometheus-test', 'ADMIN_TOKEN=0123456789abcdef'],
]

function testFly(): boolean {
  const name = 'agentgateway-fly-test'
  // The image has an ignore file of its own, which Docker knows by another name.
  const ignore = `${folder}/fly/Dockerfile.dockerignore`
  copyFileSync(`${folder}/fly/.dockerignore`, ignore)
  try {
    if (docker('build', '-t', name, '-f', 'observability/fly/Dockerfile', '.') !== 0) return false
  } finally {
    rmSync(ignore)
  }
  const variables = FLY_SECRETS.flatMap((secret) => ['-e', secret])
  let failed = docker('run', '-d', '--name', name, '--memory=1g', ...variables, name)
  // There is no provider behind it: all else has to be there.
  if (failed === 0) failed = docker('exec', name, 'doctor', '--skip=provider', '--timeout=90')
  if (failed === 0) docker('exec', name, 'ps', '-eo', 'rss,user,comm', '--sort=-rss')
  else docker('logs', '--tail', '50', name)
  docker('rm', '-f', name)
  return failed === 0
}

if (spawnSync('docker', ['info']).status !== 0) {
  console.log('test:compose: not run, there is no Docker engine here')
} else {
  const passed = [testCompose(), testFly()].filter(Boolean).length
  console.log(`test:compose: ${passed} passed, ${2 - passed} failed`)
  process.exitCode = passed === 2 ? 0 : 1
}
