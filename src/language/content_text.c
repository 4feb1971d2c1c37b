/* Content planning, text: which lines of a picture are quoted, and how they are made fit for it. */
#include "language/content_priv.h"

static const float MIN_TEXT = 0.6f;
/* Lines whose heights differ by less than this factor count as equally large. */
static const float ALIKE = 1.5f;
static const float EDGE = 0.01f; /* of the picture */
/* Two readings of one line differ by a few characters. */
static const float SAME_TEXT = 0.7f;

/* Printable, and belonging to some script: private use and directions of writing are not. */
static gboolean is_sayable(gunichar c) {
  return g_unichar_isprint(c) && g_unichar_type(c) != G_UNICODE_PRIVATE_USE && c != 0xfffd;
}

static gboolean is_quote(gunichar c) {
  return c == '"' || c == 0x201c || c == 0x201d || (c >= 0x300c && c <= 0x300f);
}

char *mnk_content_clean_text(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);
  g_autoptr(GString) out = g_string_new(NULL);
  guint chars = 0, letters = 0;
  gboolean space = FALSE;
  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    /* A quotation mark inside would end the quotation early. */
    if (g_unichar_isspace(c) || !is_sayable(c) || is_quote(c)) {
      space = chars > 0;
      continue;
    }
    if (chars + space >= MNK_CONTENT_TEXT_CHARS - 1) {
      g_string_append(out, "…");
      break;
    }
    if (space)
      g_string_append_c(out, ' ');
    chars += 1 + (space ? 1 : 0);
    space = FALSE;
    letters += g_unichar_isalnum(c);
    g_string_append_unichar(out, c);
  }
  return letters > 0 ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}

static gboolean is_readable(const MnkFact *fact) {
  if (fact->kind != MNK_FACT_TEXT || !(fact->score >= MIN_TEXT))
    return FALSE;
  g_autofree char *clean = mnk_content_clean_text(fact->name);
  return clean != NULL;
}

/* A line that runs out of the picture is missing its beginning or its end. */
static gboolean is_clipped(const MnkFact *fact) {
  return fact->box.w > 0 && (fact->box.x < EDGE || fact->box.x + fact->box.w > 1 - EDGE);
}

static GPtrArray *readable_lines(const MnkScene *scene, gboolean clipped) {
  GPtrArray *lines = g_ptr_array_new();
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (is_readable(fact) && (clipped || !is_clipped(fact)))
      g_ptr_array_add(lines, (gpointer)fact);
  }
  return lines;
}

/* The uppermost line of those about as large as the largest, other than taken. */
static const MnkFact *next_line(const GPtrArray *lines, const MnkFact *taken) {
  const MnkFact *best = NULL;
  float largest = 0;
  for (guint i = 0; i < lines->len; i++) {
    const MnkFact *line = lines->pdata[i];
    if (line != taken)
      largest = MAX(largest, line->box.h);
  }
  for (guint i = 0; i < lines->len; i++) {
    const MnkFact *line = lines->pdata[i];
    if (line != taken && !(line->box.h * ALIKE < largest) &&
        (best == NULL || line->box.y < best->box.y))
      best = line;
  }
  return best;
}

void mnk_content_add_texts(MnkContent *content, const MnkScene *scene) {
  g_autoptr(GPtrArray) all = readable_lines(scene, TRUE);
  g_autoptr(GPtrArray) whole = readable_lines(scene, FALSE);
  const GPtrArray *lines = whole->len > 0 ? whole : all;
  const MnkFact *first = next_line(lines, NULL);
  const MnkFact *second = first != NULL ? next_line(lines, first) : NULL;
  content->n_lines = all->len;
  if (first != NULL)
    content->texts[content->n_texts++] = mnk_content_clean_text(first->name);
  if (second != NULL) {
    g_autofree char *clean = mnk_content_clean_text(second->name);
    if (!g_str_equal(clean, content->texts[0]))
      content->texts[content->n_texts++] = g_steal_pointer(&clean);
  }
  content->n_quoted = content->n_texts;
}

/* ---- the same text again ---- */

gboolean mnk_content_same_text(const MnkContent *a, const MnkContent *b) {
  if (a->n_texts == 0 || b->n_texts == 0)
    return a->n_texts == b->n_texts;
  for (guint i = 0; i < a->n_texts; i++)
    for (guint k = 0; k < b->n_texts; k++)
      if (mnk_text_similarity(a->texts[i], b->texts[k]) >= SAME_TEXT)
        return TRUE;
  return FALSE;
}
