#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Per call site and second. */
enum { MAX_LINES = 20, WINDOW_US = G_USEC_PER_SEC };
/* Bytes of one message before escaping; the rest of a longer one is cut off. */
enum { MAX_MESSAGE = 4096 };

typedef struct {
  const char *name;
  const char *colour; /* SGR parameters on a terminal */
} LevelInfo;

static const LevelInfo level_table[] = {
    [MNK_LOG_ERROR] = {"error", "31"},
    [MNK_LOG_WARNING] = {"warning", "33"},
    [MNK_LOG_INFO] = {"info", "32"},
    [MNK_LOG_DEBUG] = {"debug", "2"},
};

static gint log_level = MNK_LOG_WARNING;

/* Guards the sink and all call sites. */
static GMutex log_lock;
static MnkLogSink log_sink;
static gpointer log_sink_user;

void mnk_log_set_level(MnkLogLevel level) {
  g_atomic_int_set(&log_level, (gint)level);
}

gboolean mnk_log_level_from_name(const char *name, MnkLogLevel *level) {
  for (guint i = 0; i < G_N_ELEMENTS(level_table); i++) {
    if (name == NULL || g_ascii_strcasecmp(name, level_table[i].name) != 0)
      continue;
    *level = (MnkLogLevel)i;
    return TRUE;
  }
  return FALSE;
}

gboolean mnk_log_enabled(MnkLogLevel level) {
  return (gint)level <= g_atomic_int_get(&log_level);
}

void mnk_log_set_sink(MnkLogSink sink, gpointer user) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&log_lock);
  log_sink = sink;
  log_sink_user = user;
}

static gboolean is_word(const char *text) {
  for (const char *p = text; *p != '\0'; p++)
    if (!g_ascii_isalnum(*p) && strchr("-_.:", *p) == NULL)
      return FALSE;
  return *text != '\0';
}

/* A value that may come from outside: as it is when it is one word, else quoted. */
static void append_value(GString *line, const char *value) {
  if (is_word(value)) {
    g_string_append(line, value);
    return;
  }
  g_autofree char *safe = mnk_text_escape(value);
  g_string_append_c(line, '"');
  for (const char *p = safe; *p != '\0'; p++) {
    if (*p == '"')
      g_string_append_c(line, '\\');
    g_string_append_c(line, *p);
  }
  g_string_append_c(line, '"');
}

static void append_time(GString *line, const char *format) {
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  g_autofree char *text = g_date_time_format(now, format);
  g_string_append(line, text);
}

static void append_plain_head(GString *line, MnkLogLevel level, const char *topic,
                              const char *stream) {
  g_string_append(line, "time=");
  append_time(line, "%Y-%m-%dT%H:%M:%S.%f%z");
  g_string_append_printf(line, " level=%s topic=%s", level_table[level].name, topic);
  if (stream != NULL) {
    g_string_append(line, " stream=");
    append_value(line, stream);
  }
}

static void append_human_head(GString *line, MnkLogLevel level, const char *topic,
                              const char *stream, gboolean colour) {
  append_time(line, "%H:%M:%S");
  if (colour)
    g_string_append_printf(line, " \033[%sm%-7s\033[0m %s", level_table[level].colour,
                           level_table[level].name, topic);
  else
    g_string_append_printf(line, " %-7s %s", level_table[level].name, topic);
  if (stream != NULL) {
    g_string_append_c(line, '/');
    append_value(line, stream);
  }
  g_string_append_c(line, ':');
}

/* Called with the lock held. */
static void write_line(MnkLogLevel level, const char *topic, const char *stream,
                       const char *message) {
  g_autoptr(GString) line = g_string_new(NULL);
  gboolean human = log_sink == NULL && isatty(STDERR_FILENO);
  const char *no_colour = g_getenv("NO_COLOR");
  if (human)
    append_human_head(line, level, topic, stream, no_colour == NULL || *no_colour == '\0');
  else
    append_plain_head(line, level, topic, stream);
  g_string_append_printf(line, " %s\n", message);

  if (log_sink != NULL)
    log_sink(line->str, log_sink_user);
  else
    fwrite(line->str, 1, line->len, stderr);
}

/* Called with the lock held. TRUE when the site may write one more line; *left_out is the number of
 * lines that an earlier window kept back, once. */
static gboolean site_admits(MnkLogSite *site, guint *left_out) {
  gint64 now = g_get_monotonic_time();
  *left_out = 0;
  if (site->lines == 0 || now - site->window_us >= WINDOW_US) {
    *left_out = site->left_out;
    site->window_us = now;
    site->lines = 0;
    site->left_out = 0;
  }
  if (site->lines >= MAX_LINES) {
    site->left_out++;
    return FALSE;
  }
  site->lines++;
  return TRUE;
}

void mnk_log_at(MnkLogSite *site, MnkLogLevel level, const char *topic, const char *stream,
                const char *format, ...) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&log_lock);
  guint left_out;
  if (!site_admits(site, &left_out))
    return;

  char message[MAX_MESSAGE];
  va_list arguments;
  va_start(arguments, format);
  g_vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  g_autofree char *safe = mnk_text_escape(message);

  if (left_out > 0) {
    g_autofree char *note = g_strdup_printf("event=rate-limited left_out=%u", left_out);
    write_line(level, topic, stream, note);
  }
  write_line(level, topic, stream, safe);
}
