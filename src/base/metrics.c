#include "base/metrics.h"

#include <string.h>

#define PREFIX "manako_"

enum { MAX_LABEL_SETS = 4096, MAX_BOUNDS = 32 };

const double mnk_latency_bounds_ms[] = {1,   2,   5,   10,   20,   40,   60,   100,
                                        150, 250, 500, 1000, 2500, 5000, 10000};
const guint mnk_latency_bounds_n = G_N_ELEMENTS(mnk_latency_bounds_ms);

typedef enum { COUNTER, GAUGE, HISTOGRAM } Kind;

static const char *const kind_names[] = {
    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

/* All metrics of one name. */
typedef struct {
  const char *name; /* the key in the registry */
  char *help;
  Kind kind;
  double bounds[MAX_BOUNDS];
  guint n_bounds;
  GTree *metrics; /* labels -> MnkMetric */
} Family;

struct _MnkMetric {
  const Family *family;
  GMutex lock;
  double value; /* histogram: sum of the observations */
  guint64 count;
  guint64 buckets[]; /* n_bounds + 1, not yet summed up; histogram only */
};

/* Guards the trees; a metric's values have its own lock. */
static GMutex registry_lock;
static GTree *registry; /* name -> Family */
static guint n_label_sets;

static gint compare_strings(gconstpointer a, gconstpointer b, gpointer unused) {
  return strcmp(a, b);
}

static Family *find_family(const char *name, const char *help, Kind kind, const double *bounds,
                           guint n_bounds) {
  if (registry == NULL)
    registry = g_tree_new_full(compare_strings, NULL, NULL, NULL);
  Family *family = g_tree_lookup(registry, name);
  if (family == NULL) {
    family = g_new0(Family, 1);
    char *key = g_strdup(name);
    family->name = key;
    family->help = g_strdup(help);
    family->kind = kind;
    family->n_bounds = n_bounds;
    for (guint i = 0; i < n_bounds; i++)
      family->bounds[i] = bounds[i];
    family->metrics = g_tree_new_full(compare_strings, NULL, NULL, NULL);
    g_tree_insert(registry, key, family);
  }
  if (family->kind != kind)
    g_error("metric %s is a %s, not a %s", name, kind_names[family->kind], kind_names[kind]);
  return family;
}

static MnkMetric *find_in_family(Family *family, const char *labels) {
  MnkMetric *metric = g_tree_lookup(family->metrics, labels);
  if (metric != NULL)
    return metric;
  gsize n_buckets = family->kind == HISTOGRAM ? (gsize)family->n_bounds + 1 : 0;
  metric = g_malloc0(sizeof *metric + n_buckets * sizeof metric->buckets[0]);
  metric->family = family;
  g_mutex_init(&metric->lock);
  g_tree_insert(family->metrics, g_strdup(labels), metric);
  return metric;
}

static MnkMetric *find_metric(const char *name, const char *help, const char *labels, Kind kind,
                              const double *bounds, guint n_bounds) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry_lock);
  Family *family = find_family(name, help, kind, bounds, n_bounds);
  if (labels == NULL)
    labels = "";
  gboolean known = g_tree_lookup(family->metrics, labels) != NULL;
  if (known || *labels == '\0')
    return find_in_family(family, labels);
  if (n_label_sets < MAX_LABEL_SETS) {
    n_label_sets++;
    return find_in_family(family, labels);
  }
  Family *overflow =
      find_family("metrics_overflow_total", "Label sets that found the metrics registry full.",
                  COUNTER, NULL, 0);
  mnk_metric_add(find_in_family(overflow, ""), 1);
  return find_in_family(family, "overflow=\"true\"");
}

MnkMetric *mnk_counter(const char *name, const char *help, const char *labels) {
  return find_metric(name, help, labels, COUNTER, NULL, 0);
}

MnkMetric *mnk_gauge(const char *name, const char *help, const char *labels) {
  return find_metric(name, help, labels, GAUGE, NULL, 0);
}

MnkMetric *mnk_histogram(const char *name, const char *help, const char *labels,
                         const double *bounds, guint n) {
  g_return_val_if_fail(n <= MAX_BOUNDS, NULL);
  return find_metric(name, help, labels, HISTOGRAM, bounds, n);
}

void mnk_metric_add(MnkMetric *metric, double value) {
  g_return_if_fail(metric->family->kind == GAUGE ||
                   (metric->family->kind == COUNTER && value >= 0));
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&metric->lock);
  metric->value += value;
}

void mnk_metric_set(MnkMetric *metric, double value) {
  g_return_if_fail(metric->family->kind == GAUGE);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&metric->lock);
  metric->value = value;
}

void mnk_metric_observe(MnkMetric *metric, double value) {
  mnk_metric_observe_many(metric, value, 1);
}

void mnk_metric_observe_many(MnkMetric *metric, double value, guint64 count) {
  const Family *family = metric->family;
  g_return_if_fail(family->kind == HISTOGRAM);
  guint bucket = 0;
  while (bucket < family->n_bounds && !(value <= family->bounds[bucket]))
    bucket++;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&metric->lock);
  metric->value += value * (double)count;
  metric->count += count;
  metric->buckets[bucket] += count;
}

double mnk_metric_value(MnkMetric *metric) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&metric->lock);
  return metric->family->kind == HISTOGRAM ? (double)metric->count : metric->value;
}

static void append_number(GString *out, double value) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  if (value != value)
    g_string_append(out, "NaN");
  else if (value > G_MAXDOUBLE || value < -G_MAXDOUBLE)
    g_string_append(out, value > 0 ? "+Inf" : "-Inf");
  else
    g_string_append(out, g_ascii_formatd(text, sizeof text, "%.15g", value));
  g_string_append_c(out, '\n');
}

/* The name with its suffix and labels, and the space before the value. */
static void append_series(GString *out, const char *name, const char *suffix, const char *labels) {
  g_string_append_printf(out, PREFIX "%s%s", name, suffix);
  if (*labels != '\0')
    g_string_append_printf(out, "{%s}", labels);
  g_string_append_c(out, ' ');
}

/* Called with the metric's lock held. */
static void write_histogram(GString *out, const char *labels, const MnkMetric *metric) {
  const Family *family = metric->family;
  const char *comma = *labels != '\0' ? "," : "";
  guint64 below = 0;
  for (guint i = 0; i <= family->n_bounds; i++) {
    char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";
    if (i < family->n_bounds)
      g_ascii_formatd(bound, sizeof bound, "%.15g", family->bounds[i]);
    g_autofree char *with_bound = g_strdup_printf("%s%sle=\"%s\"", labels, comma, bound);
    below += metric->buckets[i];
    append_series(out, family->name, "_bucket", with_bound);
    append_number(out, (double)below);
  }
  append_series(out, family->name, "_sum", labels);
  append_number(out, metric->value);
  append_series(out, family->name, "_count", labels);
  append_number(out, (double)metric->count);
}

static gboolean write_metric(gpointer labels, gpointer value, gpointer user) {
  MnkMetric *metric = value;
  GString *out = user;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&metric->lock);
  if (metric->family->kind == HISTOGRAM) {
    write_histogram(out, labels, metric);
  } else {
    append_series(out, metric->family->name, "", labels);
    append_number(out, metric->value);
  }
  return FALSE;
}

static gboolean write_family(gpointer name, gpointer value, gpointer user) {
  const Family *family = value;
  GString *out = user;
  g_string_append_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", family->name,
                         family->help, family->name, kind_names[family->kind]);
  g_tree_foreach(family->metrics, write_metric, out);
  return FALSE;
}

void mnk_metrics_write(GString *out) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry_lock);
  if (registry != NULL)
    g_tree_foreach(registry, write_family, out);
}

/* Handles stay valid, since call sites keep them. */
static gboolean reset_metric(gpointer labels, gpointer value, gpointer user) {
  MnkMetric *metric = value;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&metric->lock);
  metric->value = 0;
  metric->count = 0;
  if (metric->family->kind == HISTOGRAM)
    memset(metric->buckets, 0, (metric->family->n_bounds + 1) * sizeof metric->buckets[0]);
  return FALSE;
}

static gboolean reset_family(gpointer name, gpointer value, gpointer user) {
  g_tree_foreach(((Family *)value)->metrics, reset_metric, NULL);
  return FALSE;
}

void mnk_metrics_reset(void) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry_lock);
  if (registry != NULL)
    g_tree_foreach(registry, reset_family, NULL);
}
