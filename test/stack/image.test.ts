/**
 * The Dockerfile without Docker: each stage is a folder, each instruction does there what it does in an image, with
 * this machine's Node.js 24 in place of the base image's. What comes out is started as the container would be, with
 * another user where there is root to lend it. The base image itself, and the read-only root, are not tried.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODE = dirname(process.execPath)

interface Image {
  readonly root: string
  readonly entrypoint: readonly string[]
  readonly healthcheck: readonly string[]
  readonly user: string
}

/** Instruction and the rest of its (joined) line. */
/** How this machine reaches the package registry: its own certificate authority, its proxy. */
const WAY_OUT = Object.fromEntries(
  [
    'NODE_EXTRA_CA_CERTS',
    'HTTPS_PROXY',
    'HTTP_PROXY',
    'NO_PROXY',
    'https_proxy',
    'http_proxy',
    'no_proxy',
  ].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
)

function instructions(): (readonly [string, string])[] {
  const joined = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
  return joined
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const)
}

/** `.dockerignore`'s exclusions by name; what it lets through is checked elsewhere. */
const isIgnored = (path: string) => /\.(test|fixture)\.ts$/.test(path)

function buildImage(folder: string): Image {
  const stages = new Map<string, string>()
  let root = ''
  let workdir = '/'
  let user = ''
  let entrypoint: string[] = []
  let healthcheck: string[] = []
  const inRoot = (path: string) => join(root, path.startsWith('/') ? path : join(workdir, path))
  for (const [instruction, rest] of instructions()) {
    switch (instruction) {
      case 'FROM': {
        const name = / AS (\w+)$/.exec(rest)?.[1] ?? 'last'
        root = join(folder, name)
        mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
        stages.set(name, root)
        break
      }
      case 'WORKDIR':
        workdir = rest
        mkdirSync(inRoot('.'), { recursive: true })
        break
      case 'COPY': {
        const from = /^--from=(\w+) /.exec(rest)
        const base = from === null ? ROOT : (stages.get(from[1] ?? '') ?? '')
        const paths = rest.slice(from?.[0].length ?? 0).split(' ')
        const target = paths.pop() ?? ''
        for (const path of paths) {
          const place = target === './' ? join(target, path) : target
          cpSync(join(base, path), inRoot(place), {
            recursive: true,
            verbatimSymlinks: true,
            filter: (file) => from !== null || !isIgnored(file),
          })
        }
        break
      }
      case 'RUN': {
        const command = rest.replaceAll(/(?<![\w./-])\/(?=app|src|usr\/local)/g, `${root}/`)
        const { status, stderr, stdout } = spawnSync('sh', ['-c', command], {
          cwd: inRoot('.'),
          encoding: 'utf8',
          env: { ...WAY_OUT, PATH: `${NODE}${delimiter}${process.env.PATH}`, HOME: process.env.HOME },
        })
        if (status !== 0) throw new Error(`RUN ${rest}: ${status}\n${stdout}${stderr}`)
        break
      }
      case 'USER':
        user = rest
        break
      case 'ENTRYPOINT':
        entrypoint = JSON.parse(rest) as string[]
        break
      case 'HEALTHCHECK':
        healthcheck = JSON.parse(rest.slice(rest.indexOf('['))) as string[]
    }
  }
  return { root, entrypoint, healthcheck, user }
}

describe('the image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-image-'))
  let image: Image
  let environment: NodeJS.ProcessEnv
  // As `USER node` has it in the base image.
  const identity = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {}

  beforeAll(() => {
    chmodSync(folder, 0o755)
    image = buildImage(folder)
    const path = [join(image.root, 'usr/local/bin'), NODE, process.env.PATH].join(delimiter)
    environment = { PATH: path, NODE_ENV: 'production' }
  }, 600_000)

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  function run(args: readonly string[]) {
    const [program = '', ...before] = image.entrypoint
    return spawn(program, [...before, ...args], {
      cwd: join(image.root, 'app'),
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...identity,
    })
  }

  const check = () => {
    const [program = '', ...args] = image.healthcheck
    return spawnSync(program, args, { env: environment, ...identity }).status
  }

  test('holds the program and what it needs, and no more', () => {
    const has = (path: string) => existsSync(join(image.root, 'app', path))
    expect(
      ['package.json', 'LICENSE', 'dist/cli/agentgateway.js', 'node_modules/undici'].filter(has),
    ).toHaveLength(4)
    expect(
      ['src', 'test', 'node_modules/typescript', 'node_modules/vitest', 'node_modules/node'].filter(has),
    ).toEqual([])
  })

  test('tells its version', async () => {
    const child = run(['-V'])
    let said = ''
    child.stdout.on('data', (bytes) => {
      said += bytes
    })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
    expect(said).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('serves as a container would, is healthy, and ends at SIGTERM', async () => {
    expect(check()).toBe(1)
    const child = run([])
    let said = ''
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (bytes) => {
        said += bytes
        if (said.includes('is ready')) resolve()
      })
      child.once('close', (code) => reject(new Error(`ended with ${code}: ${said}`)))
    })
    await ready
    expect(check()).toBe(0)
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    expect(await gone).toBe(0)
    expect(check()).toBe(1)
  })
})
