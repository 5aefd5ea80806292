/** The `agentgateway` command: the only place that reads arguments and environment, prints, and exits. */
import { readFileSync } from 'node:fs'
import { parseCommand } from './arguments.ts'
import { HELP } from './help.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const command = parseCommand(process.argv.slice(2))
const { stdout, stderr } = process
const environment = process.env

async function main(): Promise<number> {
  switch (command.name) {
    case 'help':
      stdout.write(HELP)
      return 0
    case 'version':
      stdout.write(
        command.short
          ? `${version}\n`
          : `${JSON.stringify({ version, nodeVersion: process.versions.node })}\n`,
      )
      return 0
    case 'usage':
      stderr.write(`agentgateway: ${command.message}\nTry agentgateway --help\n`)
      return 2
    case 'run': {
      // Not at the top: what it needs takes half a second to load, which `--version` should not.
      const { run } = await import('./run.ts')
      return run({ ...command, version, environment, platform: process.platform, stdout, stderr })
    }
    case 'demo': {
      const { demo } = await import('./demo.ts')
      return demo({ ...command, version, program: process.argv[1] ?? '', environment, stdout, stderr })
    }
    case 'demo-providers': {
      const { demoProviders } = await import('./demo-parts.ts')
      return demoProviders({ ...command, stdout, stderr })
    }
    case 'demo-mcp-server': {
      const { serveSimulatedMcp } = await import('../demo/mcp-server.ts')
      await serveSimulatedMcp(command.server, process.stdin, stdout)
      return 0
    }
    case 'demo-traffic': {
      const { demoTraffic } = await import('./demo-parts.ts')
      return demoTraffic({ ...command, stdout, stderr })
    }
    case 'doctor': {
      const { doctor } = await import('./doctor.ts')
      return doctor({ ...command, version, environment, stdout, stderr })
    }
    case 'migrate': {
      const { migrate } = await import('./convert.ts')
      return migrate({ ...command, environment, stdout, stderr })
    }
    case 'import': {
      const { importFrom } = await import('./convert.ts')
      return importFrom({ ...command, environment, stdout, stderr })
    }
    default:
      command satisfies never
      return 2
  }
}

process.exitCode = await main()
