import type { ApiRoute } from '../../../src/admin/api-types.ts'
import { plural } from '../format/numbers.ts'
import { href } from '../navigation/location.ts'

export function RoutesTable({ routes }: { readonly routes: readonly ApiRoute[] }) {
  return (
    <section class="card" aria-label="Routes">
      <div class="card-head">
        <h2>Routes</h2>
        <span class="soft small">{plural(routes.length, 'route')}, tried from the top within a port</span>
      </div>
      <div class="table-frame">
        <table>
          <thead>
            <tr>
              <th scope="col">Port</th>
              <th scope="col">Listener</th>
              <th scope="col">Hosts</th>
              <th scope="col">Route</th>
              <th scope="col">Matches</th>
              <th scope="col">Backends</th>
              <th scope="col">Policies</th>
            </tr>
          </thead>
          <tbody>
            {routes.map((route) => (
              <tr key={`${route.port} ${route.listener} ${route.route}`}>
                <td>{route.port}</td>
                <td>{route.listener}</td>
                <td class="mono small">
                  <Lines values={route.hostnames} none="any" />
                </td>
                <th scope="row">
                  <a href={href('/requests', { route: route.route })} title="Its requests">
                    {route.route}
                  </a>
                </th>
                <td class="mono small">
                  <Lines values={route.matches} none="everything" />
                </td>
                <td>
                  {route.backends.map((backend) => (
                    <div key={backend.name}>
                      {backend.name} <span class="badge">{backend.kind}</span>
                    </div>
                  ))}
                </td>
                <td class="soft">{route.policies.length > 0 ? route.policies.join(', ') : '–'}</td>
              </tr>
            ))}
            {routes.length === 0 && (
              <tr>
                <td colSpan={7} class="soft">
                  No route is configured: every request is answered with 404.
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function Lines({ values, none }: { readonly values: readonly string[]; readonly none: string }) {
  if (values.length === 0) return <span class="faint">{none}</span>
  return (
    <>
      {values.map((value) => (
        <div key={value}>{value}</div>
      ))}
    </>
  )
}
