import { describe, expect, it } from 'vitest';
import { encodeMetrics } from './exposition.ts';
import { createRegistry } from './registry.ts';

describe('registry', () => {
  it('gives the same handle for the same labels and counts in it', () => {
    const registry = createRegistry();
    const requests = registry.counter('requests_total', 'Requests.');
    const handle = requests.labels({ code: '200', method: 'GET' });
    handle.inc();
    handle.inc(2);
    expect(requests.labels({ code: '200', method: 'GET' })).toBe(handle);
    expect(requests.labels({ code: '500', method: 'GET' })).not.toBe(handle);
    expect(handle.value).toBe(3);
    expect(registry.counter('requests_total', '')).toBe(requests);
    expect(() => registry.gauge('requests_total', '')).toThrow(/already a counter/);
  });

  it('keeps label values apart that would join to the same text', () => {
    const c = createRegistry().counter('c', '');
    expect(c.labels({ a: 'x', b: 'y' })).not.toBe(c.labels({ a: 'xb', b: '' }));
  });

  it.each([
    [0.5, 0],
    [0.51, 1],
    [1, 1],
    [7, 2],
    [11, 3],
  ])('observes %f in cell %i', (value, cell) => {
    const h = createRegistry().histogram('h', '', [0.5, 1, 10]).labels({});
    h.observe(value);
    expect([...h.cells]).toEqual([0, 1, 2, 3].map((i) => (i === cell ? 1 : 0)));
  });

  it('resets counters and histograms but not gauges', () => {
    const registry = createRegistry();
    registry.counter('c', '').inc(4);
    registry.gauge('g', '').set(5);
    registry.histogram('h', '', [1]).observe(3);
    registry.resetCounters();
    expect(encodeMetrics(registry, { help: false })).toBe('# TYPE c counter\nc 0\n# TYPE g gauge\ng 5\n# TYPE h histogram\nh_bucket{le="1"} 0\nh_bucket{le="+Inf"} 0\nh_sum 0\nh_count 0\n');
  });
});

describe('exposition', () => {
  it('writes cumulative buckets, escapes and help', () => {
    const registry = createRegistry();
    const h = registry.histogram('rq_ms', 'Time "spent"\nhere', [1, 5]).labels({ path: 'a"b\\c\nd' });
    for (const v of [0.5, 3, 30]) h.observe(v);
    expect(encodeMetrics(registry)).toBe(
      '# HELP rq_ms Time "spent"\\nhere\n# TYPE rq_ms histogram\n' +
        'rq_ms_bucket{path="a\\"b\\\\c\\nd",le="1"} 1\nrq_ms_bucket{path="a\\"b\\\\c\\nd",le="5"} 2\nrq_ms_bucket{path="a\\"b\\\\c\\nd",le="+Inf"} 3\n' +
        'rq_ms_sum{path="a\\"b\\\\c\\nd"} 33.5\nrq_ms_count{path="a\\"b\\\\c\\nd"} 3\n',
    );
  });

  it('runs collectors first and drops _total from OpenMetrics family names', () => {
    const registry = createRegistry();
    const gauge = registry.gauge('up', '');
    registry.onCollect(() => gauge.set(7));
    registry.counter('x_total', 'X.').inc();
    expect(encodeMetrics(registry, { format: 'openmetrics' })).toBe('# TYPE up gauge\nup 7\n# HELP x X.\n# TYPE x counter\nx_total 1\n# EOF\n');
  });

  it('leaves out families without series and those not included', () => {
    const registry = createRegistry();
    registry.counter('empty_total', '');
    registry.counter('hidden_total', '').inc();
    expect(encodeMetrics(registry, { include: (family) => family.name !== 'hidden_total' })).toBe('');
  });
});
