import { useMemo, useState } from 'preact/hooks'
import type { Analytics } from '../../../src/admin/api-types.ts'
import { exact, formatCount, formatShare, formatUsd, plural } from '../format/numbers.ts'
import { href, place } from '../navigation/location.ts'
import { type RangeId, readSpan, spanQuery } from '../navigation/ranges.ts'
import { download } from '../parts/download.ts'
import { Icon } from '../parts/icons.tsx'
import { type CostRow, costCsv, costRows, type GROUPINGS, isNamed, labelOf } from './groups.ts'

const SHOWN_AT_FIRST = 100
const DEFAULT_RANGE: RangeId = '24h'

const COLUMNS = [
  { id: 'requests', label: 'Requests', of: (row: CostRow) => row.measures.requests, format: formatCount },
  { id: 'input', label: 'Tokens in', of: (row: CostRow) => row.measures.inputTokens, format: formatCount },
  {
    id: 'cached',
    label: 'of which cached',
    of: (row: CostRow) => row.measures.cacheReadTokens,
    format: formatCount,
  },
  { id: 'output', label: 'Tokens out', of: (row: CostRow) => row.measures.outputTokens, format: formatCount },
  { id: 'cost', label: 'Cost', of: (row: CostRow) => row.measures.cost, format: formatUsd },
  {
    id: 'per1000',
    label: 'Cost of 1,000 requests',
    of: (row: CostRow) => row.costPer1000,
    format: formatUsd,
  },
  { id: 'share', label: 'Share', of: (row: CostRow) => row.share, format: formatShare },
] as const

type ColumnId = (typeof COLUMNS)[number]['id']

interface CostTableProps {
  readonly analytics: Analytics
  readonly grouping: (typeof GROUPINGS)[number]
}

export function CostTable({ analytics, grouping }: CostTableProps) {
  const [sort, setSort] = useState<{ readonly id: ColumnId; readonly isUp: boolean }>({
    id: 'cost',
    isUp: false,
  })
  const [isAll, setAll] = useState(false)
  const rows = useMemo(() => {
    const of = COLUMNS.find(({ id }) => id === sort.id)?.of ?? COLUMNS[4].of
    const byTokens = (a: CostRow, b: CostRow) => b.measures.totalTokens - a.measures.totalTokens
    return [...costRows(analytics)].sort(
      (a, b) => (sort.isUp ? of(a) - of(b) : of(b) - of(a)) || byTokens(a, b),
    )
  }, [analytics, sort])
  const unpriced = rows.filter((row) => row.isUnpriced)
  const shown = isAll ? rows : rows.slice(0, SHOWN_AT_FIRST)

  return (
    <section class="card" aria-label={`Costs by ${grouping.one}`}>
      <div class="card-head">
        <h2>By {grouping.one}</h2>
        {unpriced.length > 0 && (
          <span
            class="badge warn"
            title="Tokens were used, and no price is known: their cost is missing from the sums."
          >
            <Icon name="warning" /> {plural(unpriced.length, 'row')} without a price
          </span>
        )}
        <button
          type="button"
          class="button push"
          onClick={() => download(`costs-by-${grouping.id}.csv`, costCsv(rows, grouping.one))}
        >
          <Icon name="download" /> CSV
        </button>
      </div>
      <div class="table-frame">
        <table>
          <thead>
            <tr>
              <th scope="col">{grouping.label}</th>
              {COLUMNS.map(({ id, label }) => (
                <th
                  key={id}
                  scope="col"
                  class="number"
                  aria-sort={sort.id !== id ? 'none' : sort.isUp ? 'ascending' : 'descending'}
                >
                  <button type="button" onClick={() => setSort({ id, isUp: sort.id === id && !sort.isUp })}>
                    {label}
                    {sort.id === id && <Icon name={sort.isUp ? 'up' : 'down'} />}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <Row key={row.value} row={row} param={grouping.id} />
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown.length && (
        <div class="search-foot">
          <button type="button" class="button" onClick={() => setAll(true)}>
            Show all {rows.length}
          </button>
        </div>
      )}
    </section>
  )
}

function Row({ row, param }: { readonly row: CostRow; readonly param: string }) {
  const time = spanQuery(readSpan(place.value.query, DEFAULT_RANGE))
  return (
    <tr>
      <th scope="row" class="group-name">
        {!isNamed(row.value) ? (
          <span class="faint">{labelOf(row.value)}</span>
        ) : (
          <a href={href('/requests', { ...time, [param]: row.value })} title="Its requests">
            <bdi>{row.value}</bdi>
          </a>
        )}{' '}
        {row.isUnpriced && (
          <span class="badge warn" title="No price is known for these tokens.">
            no price
          </span>
        )}
      </th>
      {COLUMNS.map(({ id, of, format }) => {
        const value = of(row)
        const isUnknown = row.isUnpriced && ['cost', 'per1000', 'share'].includes(id)
        return (
          <td key={id} class="number" title={exact(value)}>
            {isUnknown ? <span class="faint">–</span> : format(value)}
            {id === 'share' && !isUnknown && (
              <span class="share-bar">
                <span style={{ width: `${Math.min(1, value) * 100}%` }} />
              </span>
            )}
          </td>
        )
      })}
    </tr>
  )
}
