/* Log: one line per event on stderr.
 *
 * A message is key=value pairs ("event=opened codec=h264"). Control characters, line breaks and
 * escape sequences in it are escaped, so that nothing from outside can forge a line or steer a
 * terminal. Each call site is rate limited (20 lines a second, then one line that counts what was
 * left out). Any thread may log. */
#ifndef MNK_BASE_LOG_H
#define MNK_BASE_LOG_H

#include <glib.h>

typedef enum { MNK_LOG_ERROR, MNK_LOG_WARNING, MNK_LOG_INFO, MNK_LOG_DEBUG } MnkLogLevel;

/* Per call site; zero-initialised static storage, made by the macros below. */
typedef struct {
  gint64 window_us;
  guint lines;
  guint left_out;
} MnkLogSite;

/* Level from which lines are written; default MNK_LOG_WARNING. */
void mnk_log_set_level(MnkLogLevel level);
gboolean mnk_log_level_from_name(const char *name, MnkLogLevel *level);
gboolean mnk_log_enabled(MnkLogLevel level);

/* Where lines go, for tests and for the terminal's progress line; NULL: stderr. The line is
 * complete and ends with a line feed. Called with a lock held: it must not log. */
typedef void (*MnkLogSink)(const char *line, gpointer user);
void mnk_log_set_sink(MnkLogSink sink, gpointer user);

void mnk_log_at(MnkLogSite *site, MnkLogLevel level, const char *topic, const char *stream,
                const char *format, ...) G_GNUC_PRINTF(5, 6);

/* topic: the folder's name; stream: a stream's id or NULL. */
#define mnk_log(level, topic, stream, ...)                                                         \
  G_STMT_START {                                                                                   \
    static MnkLogSite mnk_log_site_;                                                               \
    if (mnk_log_enabled(level))                                                                    \
      mnk_log_at(&mnk_log_site_, level, topic, stream, __VA_ARGS__);                               \
  }                                                                                                \
  G_STMT_END
#define mnk_error(topic, stream, ...) mnk_log(MNK_LOG_ERROR, topic, stream, __VA_ARGS__)
#define mnk_warning(topic, stream, ...) mnk_log(MNK_LOG_WARNING, topic, stream, __VA_ARGS__)
#define mnk_info(topic, stream, ...) mnk_log(MNK_LOG_INFO, topic, stream, __VA_ARGS__)
#define mnk_debug(topic, stream, ...) mnk_log(MNK_LOG_DEBUG, topic, stream, __VA_ARGS__)

/* Text made safe for one line on a terminal: control characters, C1, bidirectional overrides and
 * bad UTF-8 become \xNN or \u{NNNN}. Caller frees. */
char *mnk_text_escape(const char *text);

#endif
