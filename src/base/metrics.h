/* Metrics: counters, gauges and histograms by name and labels, written in Prometheus's text format.
 *
 * The registry is the program's one piece of global state besides constants. Handles live as long
 * as the program; adding to one is lock-free or takes one short lock. Thread-safe. */
#ifndef MNK_BASE_METRICS_H
#define MNK_BASE_METRICS_H

#include <glib.h>

typedef struct _MnkMetric MnkMetric;

/* name: [a-z_]+ with the prefix "manako_" added; labels: "reason=\"late\",stream=\"a\"" or NULL.
 * The same name and labels give the same handle. A registry full of label sets (4096) gives one
 * shared overflow handle for that name, and counts it. */
MnkMetric *mnk_counter(const char *name, const char *help, const char *labels);
MnkMetric *mnk_gauge(const char *name, const char *help, const char *labels);
/* bounds: ascending upper bounds, n of them (<= 32); +Inf is added. */
MnkMetric *mnk_histogram(const char *name, const char *help, const char *labels,
                         const double *bounds, guint n);
/* Bounds in milliseconds fit for latencies: 1 2 5 10 20 40 60 100 150 250 500 1000 2500 5000 10000.
 */
extern const double mnk_latency_bounds_ms[];
extern const guint mnk_latency_bounds_n;

void mnk_metric_add(MnkMetric *metric, double value);     /* counter, gauge */
void mnk_metric_set(MnkMetric *metric, double value);     /* gauge */
void mnk_metric_observe(MnkMetric *metric, double value); /* histogram */
/* The same value count times. */
void mnk_metric_observe_many(MnkMetric *metric, double value, guint64 count);
double mnk_metric_value(MnkMetric *metric); /* histogram: number of observations */

/* Appends the whole registry, sorted by name. */
void mnk_metrics_write(GString *out);
/* For tests. */
void mnk_metrics_reset(void);

#endif
