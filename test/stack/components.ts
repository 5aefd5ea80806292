/**
 * The programs that the stack consists of, as native binaries: built once by the Go toolchain, of the versions that
 * docker-compose.yml names where the module proxy has them, and kept in the user's cache folder.
 *
 * Run as a script it gets them all and says how far it is. What cannot be had is said in words, not thrown: the
 * tests that need it are skipped then.
 */
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const COLLECTOR = '0.165.0'
/** Of the collector's modules whose interface is stable. */
const COLLECTOR_STABLE = '1.71.0'

/** A manifest for the collector's own builder: what otel-collector-config.yaml uses of the released image. */
const COLLECTOR_MANIFEST = `dist: {name: otelcol, module: stack/otelcol, output_path: out, version: ${COLLECTOR}}
extensions:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension v${COLLECTOR}
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v${COLLECTOR}
processors:
  - gomod: go.opentelemetry.io/collector/processor/batchprocessor v${COLLECTOR}
  - gomod: go.opentelemetry.io/collector/processor/memorylimiterprocessor v${COLLECTOR}
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/otlpexporter v${COLLECTOR}
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider v${COLLECTOR_STABLE}
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v${COLLECTOR_STABLE}
`

export type ComponentName = 'compose-go' | 'otelcol' | 'jaeger' | 'prometheus' | 'promtool'

interface Recipe {
  readonly version: string
  readonly makes: readonly ComponentName[]
  /** Run in an empty folder; leave the binaries in `bin/`. */
  readonly steps: readonly (readonly string[])[]
  readonly files?: Readonly<Record<string, string>>
}

/** A program of a module whose `go.mod` replaces others, which `go install` refuses: built as a tool of our own. */
const asTool = (
  replacements: readonly string[],
  packages: readonly string[],
  version: string,
): Recipe['steps'] => [
  ['go', 'mod', 'init', 'stack'],
  ...replacements.map((replacement) => ['go', 'mod', 'edit', `-replace=${replacement}`]),
  ['go', 'get', '-tool', ...packages.map((name) => `${name}@${version}`)],
  ['go', 'build', '-o', 'bin/', ...packages],
]

const RECIPES: readonly Recipe[] = [
  {
    // What `docker compose` reads its files with.
    version: '2.16.2',
    makes: ['compose-go'],
    steps: [
      ['go', 'install', 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2'],
      ['cp', 'bin/cmd', 'bin/compose-go'],
    ],
  },
  {
    version: COLLECTOR,
    makes: ['otelcol'],
    files: { 'manifest.yaml': COLLECTOR_MANIFEST },
    steps: [
      ['go', 'install', `go.opentelemetry.io/collector/cmd/builder@v${COLLECTOR}`],
      ['bin/builder', '--config=manifest.yaml'],
      ['cp', 'out/otelcol', 'bin/otelcol'],
    ],
  },
  {
    // Jaeger 2.13 under its last version 1 module name: the newest that the module proxy has. Its user interface is
    // not part of the module; the query API is.
    version: '1.76.0',
    makes: ['jaeger'],
    steps: asTool([], ['github.com/jaegertracing/jaeger/cmd/jaeger'], 'v1.76.0'),
  },
  {
    version: '3.16.0',
    makes: ['prometheus', 'promtool'],
    steps: asTool(
      ['cloud.google.com/go=cloud.google.com/go@v0.123.0'],
      ['github.com/prometheus/prometheus/cmd/prometheus', 'github.com/prometheus/prometheus/cmd/promtool'],
      'v0.316.0',
    ),
  },
]

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'agentgateway-stack')
const folderOf = ({ makes, version }: Recipe) => join(cache, `${makes[0]}-${version}`)
const isBuilt = (recipe: Recipe) => recipe.makes.every((name) => existsSync(join(folderOf(recipe), name)))

/** Path of a component's binary; undefined when it has not been built. */
export function componentPath(name: ComponentName): string | undefined {
  const recipe = RECIPES.find(({ makes }) => makes.includes(name))
  return recipe !== undefined && isBuilt(recipe) ? join(folderOf(recipe), name) : undefined
}

function run(command: readonly string[], folder: string): Promise<{ code: number | null; output: string }> {
  const [program = '', ...args] = command
  const child = spawn(program === 'bin/builder' ? join(folder, program) : program, args, {
    cwd: folder,
    env: { ...process.env, GOBIN: join(folder, 'bin'), CGO_ENABLED: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (bytes: Buffer) => {
    output = (output + bytes).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: -1, output: error.message }))
    child.once('close', (code) => resolve({ code, output }))
  })
}

/** Built beside its place and renamed, so that an interrupted build leaves nothing that looks whole. */
async function build(recipe: Recipe, say: (text: string) => void): Promise<string | undefined> {
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'build-'))
  try {
    mkdirSync(join(folder, 'bin'))
    for (const [name, text] of Object.entries(recipe.files ?? {})) writeFileSync(join(folder, name), text)
    for (const step of recipe.steps) {
      say(step.slice(0, 3).join(' '))
      const { code, output } = await run(step, folder)
      if (code !== 0)
        return `\`${step.join(' ')}\` ended with ${code}: ${output.trim().split('\n').slice(-3).join(' | ')}`
    }
    const place = join(folder, 'place')
    mkdirSync(place)
    for (const name of recipe.makes) copyFileSync(join(folder, 'bin', name), join(place, name))
    rmSync(folderOf(recipe), { recursive: true, force: true })
    renameSync(place, folderOf(recipe))
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function main(): Promise<void> {
  const hasGo = spawnSync('go', ['version']).status === 0
  for (const recipe of RECIPES) {
    const title = `${recipe.makes.join(' and ')} ${recipe.version}`
    if (isBuilt(recipe)) {
      console.log(`${title}: ${folderOf(recipe)}`)
    } else if (!hasGo) {
      console.log(`${title}: cannot be had, there is no Go toolchain here; its tests will be skipped`)
    } else {
      const startedAt = Date.now()
      const seconds = () => `${Math.round((Date.now() - startedAt) / 1000)} s`
      console.log(`${title}: building (minutes, once)`)
      const problem = await build(recipe, (text) => console.log(`  ${seconds()}: ${text}`))
      console.log(
        problem === undefined
          ? `${title}: built in ${seconds()}`
          : `${title}: cannot be had, its tests will be skipped: ${problem}`,
      )
    }
  }
}

if (import.meta.main) await main()
