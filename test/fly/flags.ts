/**
 * The commands and flags of `fly` that the project uses, as its documentation has them: https://fly.io/docs/flyctl/cmd/
 * (of August 2026). The true ones take a value.
 */
const FLAGS: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  'auth whoami': {},
  'auth login': {},
  'apps list': { '--quiet': false },
  'apps create': { '--org': true, '--yes': false },
  'apps destroy': { '--yes': false },
  'ips list': { '--app': true, '--json': false },
  'ips allocate-v6': { '--app': true },
  'ips allocate-v4': { '--app': true, '--shared': false },
  'machine list': { '--app': true, '--quiet': false },
  'secrets list': { '--app': true, '-a': true, '--json': false },
  'secrets import': { '--app': true, '--stage': false },
  'secrets unset': { '--app': true },
  deploy: {
    '--app': true,
    '--config': true,
    '--dockerfile': true,
    '--ignorefile': true,
    '--primary-region': true,
    '--env': true,
    // Boolean flags take a value with `=` only.
    '--ha': false,
    '--remote-only': false,
    '--yes': false,
  },
  status: { '--app': true },
  logs: { '--app': true, '-a': true },
  'ssh console': { '--app': true, '-a': true, '--command': true, '-C': true },
  proxy: { '--app': true },
  'platform regions': {},
  'machine restart': { '--app': true },
  'scale memory': { '--app': true },
}

/** What is wrong with a call, in words; empty when the documentation knows all of it. */
export function unknownIn(args: readonly string[]): readonly string[] {
  const command = [args.slice(0, 2).join(' '), args[0] ?? ''].find((name) => name in FLAGS)
  if (command === undefined) return [`there is no ${args.slice(0, 2).join(' ')}`]
  const flags = FLAGS[command] ?? {}
  const problems: string[] = []
  let expected = false
  for (const word of args.slice(command.split(' ').length)) {
    if (expected) expected = false
    else if (word.startsWith('-')) {
      const [name = ''] = word.split('=')
      if (!(name in flags)) problems.push(`${command} has no ${name}`)
      expected = flags[name] === true && !word.includes('=')
    }
  }
  return expected ? [...problems, `${command}: a flag lacks its value`] : problems
}
