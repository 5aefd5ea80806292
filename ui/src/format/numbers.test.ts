import { expect, test } from 'vitest'
import { exact, formatBytes, formatCount, formatMs, formatShare, formatUsd, formatValue } from './numbers.ts'

const plain = (text: string) => text.replaceAll('\u00a0', ' ')

test.each([
  [0, '0'],
  [7, '7'],
  [9999, '9,999'],
  [12_345, '12.3 k'],
  [999_999, '1 M'],
  [1_234_567, '1.23 M'],
  [5e12, '5 T'],
  [0.25, '0.25'],
  [-12_345, '-12.3 k'],
])('counts %d as %s', (value, text) => {
  expect(plain(formatCount(value))).toBe(text)
})

test.each([
  [0, '$0'],
  [0.0034, '$0.0034'],
  [0.000_000_42, '$0.00000042'],
  [1e-12, '<$0.0000001'],
  [0.05, '$0.050'],
  [1.5, '$1.50'],
  [1234.5, '$1,234.50'],
  [12_345.6, '$12.3 k'],
])('writes %d dollars as %s', (value, text) => {
  expect(plain(formatUsd(value))).toBe(text)
})

test.each([
  [1_234_567, '1,234,567'],
  [0.000_042_000_000_000_000_004, '0.000042'],
  [0.000_000_000_72, '0.00000000072'],
])('writes %d exactly as %s', (value, text) => {
  expect(exact(value)).toBe(text)
})

test.each([
  [0, '0 ms'],
  [0.0421, '0.042 ms'],
  [0.42, '0.42 ms'],
  [812, '812 ms'],
  [999.7, '1 s'],
  [3210, '3.21 s'],
  [59_970, '1 min'],
  [245_000, '4 min 5 s'],
  [7_380_000, '2 h 3 min'],
  [273_600_000, '3 d 4 h'],
])('writes %d ms as %s', (value, text) => {
  expect(plain(formatMs(value))).toBe(text)
})

test.each([
  [0, '0 B'],
  [1023, '1,023 B'],
  [1536, '1.5 KiB'],
  [5 * 1024 ** 3, '5 GiB'],
])('writes %d bytes as %s', (value, text) => {
  expect(plain(formatBytes(value))).toBe(text)
})

test.each([
  [0, '0 %'],
  [0.123_45, '12.3 %'],
  [0.9996, '>99.9 %'],
  [1, '100 %'],
  [0.000_012, '0.0012 %'],
])('writes the share %d as %s', (value, text) => {
  expect(plain(formatShare(value))).toBe(text)
})

test.each([
  ['seconds', 0.25, '250 ms'],
  ['perSecond', 12.34, '12.3/s'],
  ['usdPerHour', 2, '$2.00/h'],
  ['text', '1.2.3', '1.2.3'],
  ['count', null, '–'],
  ['lightyears', 4, '4'],
])('writes the unit %s', (unit, value, text) => {
  expect(plain(formatValue(unit, value))).toBe(text)
})
