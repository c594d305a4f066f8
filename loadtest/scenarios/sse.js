// Streams of events, many open at a time on every edge: does each come whole, and as it is sent, not at its end? The vendor sends
// twenty events, one each 50 ms.
//
//   GATEWAYS  comma-separated base URLs of the edges
//   KEY       a key that may call /load
//   RATE      streams open at a time in all (100), DURATION of the run (15s)
import http from 'k6/http'
import { check } from 'k6'
import { Counter } from 'k6/metrics'

const gateways = __ENV.GATEWAYS.split(',')
const paid = new Counter('paid_requests')

export const options = {
  scenarios: {
    streams: { executor: 'constant-vus', vus: Number(__ENV.RATE || 100), duration: __ENV.DURATION || '15s', gracefulStop: '30s' },
  },
  thresholds: {
    checks: ['rate==1.0'],
    http_req_failed: ['rate==0'],
    http_req_waiting: ['p(95)<500'],
  },
}

export default function () {
  const gateway = gateways[(__VU + __ITER) % gateways.length]
  const answer = http.post(`${gateway}/load/v1/events`, '{}', {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json', Accept: 'text/event-stream' },
  })
  const ok = check(answer, {
    'is 200': (r) => r.status === 200,
    'is a stream': (r) => r.headers['Content-Type'] === 'text/event-stream',
    'has every event in order': (r) => {
      const events = r.body.split('\n\n')
      return events.length === 22 && events[20] === 'data: [DONE]' && events.slice(0, 20).every((e, n) => e === `data: {"n":${n}}`)
    },
    'came as it was sent': (r) => r.timings.receiving > 700,
  })
  if (ok) paid.add(1)
}
