# Errand as an image: docker build -t errand . && docker run -p 8888:8888 -e ERRAND_API_KEY=change-me-please errand

FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY routes ./routes
COPY workers ./workers
RUN npm run build

FROM node:26-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:26-slim
ENV NODE_ENV=production
# Others can reach a container, so it needs ERRAND_API_KEY, or ERRAND_AUTH=none, to start.
ENV ERRAND_HOST=0.0.0.0
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# What workers keep file access within: whoever the container runs as may write there.
RUN mkdir -m 1777 /data
WORKDIR /data
USER node
EXPOSE 8888
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.ERRAND_PORT || 8888) + '/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/src/bin.js"]
CMD ["serve"]
