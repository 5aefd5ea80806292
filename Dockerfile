# The gateway as an image: `docker build -t agentgateway .`, or through observability/docker-compose.yml.

FROM node:24-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Without install scripts: the only one that is allowed to run brings Node.js 24, which is here already.
RUN npm ci --ignore-scripts
COPY tsconfig.json rolldown.config.ts ./
COPY src ./src
COPY ui ./ui
RUN npm run build && chmod +x dist/cli/agentgateway.js && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY package.json LICENSE ./
RUN ln -s /app/dist/cli/agentgateway.js /usr/local/bin/agentgateway
USER node
# The gateway, /metrics. Readiness (15021) is for the health check, the console (15000) on loopback only.
EXPOSE 3000 15020
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:15021/healthz/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["agentgateway"]
