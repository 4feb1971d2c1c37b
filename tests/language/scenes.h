/* Scenes written as text, for tests that read like a script:
 *
 *   0-10 object person *2 .83 @.1,.2,.3,.6; scene seashore .9; action person: moves left .8
 *
 * Seconds; then "cut" or "dissolve" where the scene starts at one, "light LUMA CONTRAST", and facts
 * with semicolons between: kind, name, *count, score, @x,y,w,h. */
#ifndef MNK_TESTS_LANGUAGE_SCENES_H
#define MNK_TESTS_LANGUAGE_SCENES_H

#include "facts/facts.h"

/* Aborts the test on a line that does not parse. */
MnkScene *scene_parse(const char *line, guint64 number);

#endif
