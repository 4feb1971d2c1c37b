#include "facts/facts_priv.h"

#include <string.h>

enum { MAX_CHARS = 96, MAX_LINES = 64 };

/* Two readings of one line are at least this much alike. */
static const float SAME_LINE = 0.75f;
/* A line that was read once only must have been read this well. */
static const float SURE = 0.9f;

/* One line of text through a scene. */
typedef struct {
  const MnkTextLine *best; /* the reading with the highest score */
  guint readings;
  gint64 first_ms, last_ms;
} Line;

/* Letters and digits alone, folded: what two readings of a line must share. */
static guint normal_form(const char *text, gunichar out[MAX_CHARS]) {
  guint n = 0;
  for (const char *p = text; *p != '\0' && n < MAX_CHARS; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (g_unichar_isalnum(c))
      out[n++] = g_unichar_tolower(c);
  }
  return n;
}

float mnk_text_similarity(const char *a, const char *b) {
  gunichar x[MAX_CHARS], y[MAX_CHARS];
  guint nx = normal_form(a, x), ny = normal_form(b, y);
  if (nx == 0 || ny == 0)
    return nx == ny ? 1 : 0;
  guint row[MAX_CHARS + 1];
  for (guint k = 0; k <= ny; k++)
    row[k] = k;
  for (guint i = 1; i <= nx; i++) {
    guint diagonal = row[0];
    row[0] = i;
    for (guint k = 1; k <= ny; k++) {
      guint replace = diagonal + (x[i - 1] != y[k - 1]);
      diagonal = row[k];
      row[k] = MIN(MIN(row[k], row[k - 1]) + 1, replace);
    }
  }
  return 1.0f - (float)row[ny] / (float)MAX(nx, ny);
}

static void note(GArray *lines, const MnkTextLine *reading, gint64 ms, gboolean fresh) {
  for (guint i = 0; i < lines->len; i++) {
    Line *line = &g_array_index(lines, Line, i);
    if (mnk_text_similarity(line->best->text, reading->text) < SAME_LINE)
      continue;
    line->last_ms = ms;
    line->readings += fresh;
    if (reading->score > line->best->score)
      line->best = reading;
    return;
  }
  if (lines->len == MAX_LINES)
    return;
  Line line = {reading, 1, ms, ms};
  g_array_append_val(lines, line);
}

void mnk_texts_collect(MnkObservation *const *seen, guint n, gint64 end_ms, GPtrArray *facts) {
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(Line));
  guint runs = 0;
  for (guint i = 0; i < n; i++) {
    runs += seen[i]->text_ran;
    for (guint k = 0; k < seen[i]->n_texts; k++)
      note(lines, &seen[i]->texts[k], seen[i]->pts_ms, seen[i]->text_ran);
  }
  for (guint i = 0; i < lines->len; i++) {
    const Line *line = &g_array_index(lines, Line, i);
    /* Seen for a while on an unchanged place counts like being read again. */
    gboolean lasted = line->last_ms - line->first_ms >= 2000;
    if (line->best->score < SURE && line->readings < 2 && !(lasted && runs <= 1))
      continue;
    MnkFact *fact = mnk_fact_new(MNK_FACT_TEXT, line->best->text);
    fact->score = line->best->score;
    fact->box = line->best->box;
    fact->start_ms = line->first_ms;
    fact->end_ms = MIN(line->last_ms + seen[n - 1]->step_ms, end_ms);
    g_ptr_array_add(facts, fact);
  }
}
