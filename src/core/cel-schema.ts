/** CEL expressions in the configuration: what is wrong with one is told when the file is loaded. */
import { z } from 'zod'
import { compileCel, type Names } from './cel.ts'

/** An expression that reads nothing but these names. */
export const celExpression = (names: Names) =>
  z.string().superRefine((source, context) => {
    try {
      compileCel(source, names)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      context.addIssue({ code: 'custom', message: `not a usable CEL expression: ${problem}` })
    }
  })
