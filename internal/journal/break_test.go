package journal

import "os"

// Break takes the files of the store away from a journal that has nothing to do.
func (j *Journal) Break() {
	j.log.Close()
	os.RemoveAll(j.opts.Dir)
}
