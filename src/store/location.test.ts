import { expect, test } from 'vitest'
import { withoutPassword } from './location.ts'

test.each([
  ['sqlite:/var/lib/requests.db', 'sqlite:/var/lib/requests.db'],
  ['/var/lib/requests.db', '/var/lib/requests.db'],
  ['postgres://user:hunter2@host:5433/db', 'postgres://user@host:5433/db'],
  ['postgresql://host/db', 'postgresql://host/db'],
  ['postgres://host/db?user=me&password=a&password=hunter2', 'postgres://host/db'],
  ['postgres://host/db?sslpassword=hunter2', 'postgres://host/db'],
  ['postgres://host/db?pass%77ord=hunter2', 'postgres://host/db'],
  ['postgres:///db?host=/run/postgresql&password=hunter2', 'postgres:///db'],
  ['postgres:user:hunter2@host/db', 'postgres:…'],
  ['postgres://user:hunt/er2@host/db', 'postgres:…'],
  ['postgres://user:5432/hunter2@host/db', 'postgres:…'],
  ['postgres://user:hunter2@host:port:1/db', 'postgres:…'],
  ['mysql://user:hunter2@host/db', 'mysql://user@host/db'],
  ['mongodb+srv:hunter2', 'mongodb+srv:…'],
])('shows of %s only what is harmless', (url, shown) => {
  expect(withoutPassword(url)).toBe(shown)
})
