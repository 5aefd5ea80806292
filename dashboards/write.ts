/** `npm run dashboards`: writes the dashboards that Grafana is provisioned with. A test tells when they are stale. */
import { writeFileSync } from 'node:fs'
import { agentgatewayDashboard, fileText } from './agentgateway.ts'

const FILE = new URL('../observability/grafana/provisioning/dashboards/agentgateway.json', import.meta.url)

writeFileSync(FILE, fileText(agentgatewayDashboard()))
