/**
 * What lies under the cursor, the largest first. Built by hand: it changes with every movement of the mouse.
 */
import type uPlot from 'uplot'

const LISTED_AT_MOST = 10

interface CursorTipOptions {
  readonly title: (index: number) => string
  readonly values: (index: number) => readonly { readonly name: string; readonly value: number | null }[]
  readonly color: (index: number) => string
  readonly format: (value: number) => string
}

export function cursorTip({ title, values, color, format }: CursorTipOptions): uPlot.Plugin {
  const tip = document.createElement('div')
  tip.className = 'chart-tip'
  tip.hidden = true
  let isOver = false
  let shownFor = -1

  function fill(chart: uPlot, index: number) {
    const head = document.createElement('p')
    head.textContent = title(index)
    const list = document.createElement('ul')
    const known = values(index)
      .map((one, place) => ({ ...one, place }))
      .filter(({ value, place }) => value !== null && chart.series[place + 1]?.show !== false)
      .sort((a, b) => (b.value ?? 0) - (a.value ?? 0))
    for (const { name, value, place } of known.slice(0, LISTED_AT_MOST)) {
      list.append(lineOf(name, format(value ?? 0), color(place)))
    }
    if (known.length > LISTED_AT_MOST)
      list.append(lineOf(`and ${known.length - LISTED_AT_MOST} more`, '', 'transparent'))
    if (known.length === 0) list.append(lineOf('nothing', '', 'transparent'))
    tip.replaceChildren(head, list)
  }

  function place(chart: uPlot) {
    const left = (chart.cursor.left ?? 0) + chart.over.offsetLeft
    const isRightHalf = (chart.cursor.left ?? 0) > chart.over.clientWidth / 2
    const x = isRightHalf ? left - tip.offsetWidth - 14 : left + 14
    tip.style.transform = `translate(${Math.max(0, Math.round(x))}px, 12px)`
  }

  return {
    hooks: {
      init: (chart) => {
        chart.root.append(tip)
        chart.over.addEventListener('mouseenter', () => {
          isOver = true
        })
        chart.over.addEventListener('mouseleave', () => {
          isOver = false
          tip.hidden = true
        })
      },
      setData: () => {
        shownFor = -1
      },
      setCursor: (chart) => {
        const index = chart.cursor.idx
        // The other charts show the line of the shared cursor, and only this one the list.
        if (!isOver || index === null || index === undefined) {
          tip.hidden = true
          return
        }
        tip.hidden = false
        if (index !== shownFor) fill(chart, index)
        shownFor = index
        place(chart)
      },
    },
  }
}

function lineOf(name: string, value: string, color: string): HTMLLIElement {
  const line = document.createElement('li')
  const swatch = document.createElement('span')
  swatch.className = 'swatch'
  swatch.style.background = color
  const label = document.createElement('span')
  label.className = 'cut'
  label.textContent = name
  const number = document.createElement('span')
  number.className = 'number'
  number.textContent = value
  line.append(swatch, label, number)
  return line
}
