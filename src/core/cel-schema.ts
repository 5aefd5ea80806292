/** CEL expressions in the configuration: what is wrong with one is told when the file is loaded. */
import { z } from 'zod'
import { compileCel, type Names } from './cel.ts'

/** Undefined for an expression that can be used, and reads nothing but these names. */
export function celProblem(source: string, names: Names): string | undefined {
  try {
    compileCel(source, names)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** An expression that reads nothing but these names. */
export const celExpression = (names: Names) =>
  z.string().superRefine((source, context) => {
    const problem = celProblem(source, names)
    if (problem === undefined) return
    context.addIssue({ code: 'custom', message: `not a usable CEL expression: ${problem}` })
  })
