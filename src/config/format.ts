/** Problems as text for a terminal, or as JSON. Source lines are shown without the secrets that stand in them. */
import type { Problem } from './problem.ts'
import { isSecretKey } from './secret-keys.ts'

export interface FormatOptions {
  /** The configuration's text, for the lines with carets. */
  readonly text?: string
  readonly colour: boolean
}

const WIDTH = 120

const CODES = { red: 31, cyan: 36, bold: 1, dim: 2 } as const

export function formatProblems(problems: readonly Problem[], { text, colour }: FormatOptions): string {
  const lines = text?.replace(/^\ufeff/, '').split(/\r?\n/)
  const paint = (style: keyof typeof CODES, words: string) =>
    colour && words !== '' ? `\u001b[${CODES[style]}m${words}\u001b[0m` : words

  return problems
    .map((problem) => {
      const path = problem.path === '' ? '' : `${paint('cyan', printable(problem.path))}: `
      const head = `${paint('bold', printable(placeOf(problem)))}: ${path}${printable(problem.message)}\n`
      const line = problem.line > 0 ? lines?.[problem.line - 1] : undefined
      const excerpt = line === undefined || line.trim() === '' ? '' : excerptOf(line, problem, paint)
      return (
        head +
        excerpt +
        (problem.hint === undefined ? '' : `  ${paint('dim', 'hint:')} ${printable(problem.hint)}\n`)
      )
    })
    .join('')
}

/** One object per problem, in a list. */
export function problemsAsJson(problems: readonly Problem[]): string {
  return JSON.stringify(problems, null, 2)
}

function placeOf({ file, line, column }: Problem): string {
  return line === 0 ? file : `${file}:${line}:${column}`
}

type Paint = (style: keyof typeof CODES, words: string) => string

function excerptOf(line: string, { line: number, column }: Problem, paint: Paint): string {
  const hidden = printable(hideSecrets(line))
  const from = column > WIDTH - 20 ? column - WIDTH / 2 : 0
  const shown = hidden.slice(from, from + WIDTH)
  const gutter = ` ${number} | `
  const blank = `${' '.repeat(String(number).length + 2)}| `
  const caret = ' '.repeat(Math.max(0, column - 1 - from))
  return `${paint('dim', gutter)}${shown}\n${paint('dim', blank)}${caret}${paint('red', '^')}\n`
}

/** Nothing in a file may move the cursor. Keeps the length. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}

/** Same length, so that the caret stays under its place. References and paths of files may be seen. */
function hideSecrets(line: string): string {
  return line.replace(
    /([\w-]+)(["']?\s*:\s+)("[^"]*"?|'[^']*'?|\$\{[^}]*\}|[^\s,{}[\]][^,{}[\]#]*)|\b(?:sk|pk|rk)-[\w-]{8,}|\bBearer\s+\S+/g,
    (whole, key: string | undefined, colon: string, value: string) => {
      if (key === undefined) return '*'.repeat(whole.length)
      const isReference = /^["']?\$(?:\w+|\{\w+\})["']?\s*$/.test(value)
      const open = !isSecretKey(key) || isReference || /^["']?[~.]{0,2}\/[\w./-]+\.\w+["']?\s*$/.test(value)
      if (open) return key + colon + hideSecrets(value)
      return key + colon + value.replace(/\S/g, '*')
    },
  )
}
