import { expect, test } from 'vitest'
import { interpolated } from './grafana.ts'

test.each([
  { expr: 'sum(rate(a{b=~"$backend"}[$__rate_interval])) or vector(0)', asked: 'sum(rate(a{b=~".*"}[5m]))' },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's
  { expr: 'rate(a{m=~"${model:regex}"}[${__interval}])', asked: 'rate(a{m=~".*"}[5m])' },
  { expr: 'a{b=~"x$"}', asked: 'a{b=~"x$"}' },
])('it asks $expr as the browser would', ({ expr, asked }) => {
  expect(interpolated(expr)).toBe(asked)
})
