/* The template: from scenes to text, keeping of the scene before what the next is compared with. */
#include "language/grammar_priv.h"

static const MnkGrammar *const GRAMMARS[MNK_LANG_N] = {
    [MNK_LANG_EN] = &mnk_grammar_en,
    [MNK_LANG_JA] = &mnk_grammar_ja,
};

struct _MnkTemplate {
  MnkLang lang;
  MnkContent *before; /* of the last final scene, or NULL */
  char *text;         /* told of it */
  gint64 since_ms;    /* from when on nothing that is named has changed */
  guint same_times;   /* how many scenes have told so */
  guint shots;        /* how many scenes were told from nothing */
};

const char *mnk_lang_code(MnkLang lang) {
  return lang < MNK_LANG_N ? GRAMMARS[lang]->code : NULL;
}

gboolean mnk_lang_from_code(const char *code, MnkLang *lang) {
  for (guint i = 0; i < MNK_LANG_N; i++)
    if (g_strcmp0(code, GRAMMARS[i]->code) == 0) {
      *lang = (MnkLang)i;
      return TRUE;
    }
  return FALSE;
}

MnkTemplate *mnk_template_new(MnkLang lang) {
  MnkTemplate *tmpl = g_new0(MnkTemplate, 1);
  tmpl->lang = lang;
  return tmpl;
}

void mnk_template_free(MnkTemplate *tmpl) {
  if (tmpl == NULL)
    return;
  mnk_content_free(tmpl->before);
  g_free(tmpl->text);
  g_free(tmpl);
}

void mnk_template_set_lang(MnkTemplate *tmpl, MnkLang lang) {
  tmpl->lang = lang;
}

/* The words, with less of what matters least until they fit: the second quotation, further clauses,
 * the text. */
static char *shorten(const MnkGrammar *grammar, MnkContent *content, MnkStory *story,
                     guint variant) {
  char *text = mnk_realise(grammar, story, variant);
  for (guint step = 0; step < 3 && g_utf8_strlen(text, -1) > MNK_CAPTION_CHARS; step++) {
    if (step == 0)
      content->n_quoted = MIN(content->n_quoted, 1);
    else if (step == 1)
      story->n[0] = MIN(story->n[0], 1);
    else
      story->n[1] = 0;
    g_free(text);
    text = mnk_realise(grammar, story, variant);
  }
  return text;
}

/* A wording that differs from the last text, if there is one. */
static char *realise(const MnkTemplate *tmpl, MnkContent *content, MnkStory *story) {
  guint first = story->unchanged ? tmpl->same_times : 0;
  char *text = NULL;
  for (guint i = 0; i < MNK_VARIANTS; i++) {
    g_free(text);
    text = shorten(GRAMMARS[tmpl->lang], content, story, first + i);
    if (g_strcmp0(text, tmpl->text) != 0)
      break;
  }
  return text;
}

static void keep(MnkTemplate *tmpl, MnkContent *content, const MnkStory *story, const char *text) {
  if (!story->unchanged)
    tmpl->since_ms = content->start_ms;
  tmpl->same_times = story->unchanged ? tmpl->same_times + 1 : 0;
  tmpl->shots += story->from_nothing;
  mnk_content_free(tmpl->before);
  tmpl->before = content;
  g_free(tmpl->text);
  tmpl->text = g_strdup(text);
}

char *mnk_template_tell(MnkTemplate *tmpl, const MnkScene *scene) {
  const MnkContent *before = tmpl->before;
  gboolean same_shot = before != NULL && before->gap == NULL && !scene->starts_at_cut;
  g_autoptr(MnkContent) content = mnk_content_new(scene, same_shot ? before : NULL);
  MnkStory story;
  mnk_story_tell(&story, content, &(MnkEarlier){before, tmpl->since_ms, tmpl->shots});
  char *text = realise(tmpl, content, &story);
  if (scene->final)
    keep(tmpl, g_steal_pointer(&content), &story, text);
  return text;
}
