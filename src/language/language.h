/* language: from what is known to sentences: the template, and remote models (backend.h). */
#ifndef MNK_LANGUAGE_H
#define MNK_LANGUAGE_H

#include "facts/facts.h"
#include "language/backend.h"

typedef enum { MNK_LANG_EN, MNK_LANG_JA, MNK_LANG_N } MnkLang;
const char *mnk_lang_code(MnkLang lang); /* "en", "ja" */
gboolean mnk_lang_from_code(const char *code, MnkLang *lang);

/* The template: one or two sentences from a scene's facts, by one grammar table per language. It
 * says only what was measured, uncertainty in words, and what changed since the scene before. */
typedef struct _MnkTemplate MnkTemplate;

MnkTemplate *mnk_template_new(MnkLang lang);
void mnk_template_free(MnkTemplate *tmpl);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkTemplate, mnk_template_free)
void mnk_template_set_lang(MnkTemplate *tmpl, MnkLang lang);
/* The text for a scene; caller frees. A final scene becomes the one that the next is compared with;
 * the same running scene may be told many times. */
char *mnk_template_tell(MnkTemplate *tmpl, const MnkScene *scene);

#endif
