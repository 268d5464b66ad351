package config

// Live is what takes effect without a restart.
type Live struct {
	Keyring Keyring // not IsSet under All when no layer has keys: then the generated ones stay
	Origins Origins
}

// Reload reads the layers again and returns the settings that may change while the process runs. It validates them as
// [Load] does, and faults of other settings do not count. On an error the caller keeps what it has.
func Reload(o Options) (Live, *Report, error) {
	l := read(o)
	l.checkKeyring()
	l.checkOrigins()
	var faults Faults
	for _, f := range l.faults {
		if row, _ := find(f.Setting); row.live || f.ofFile() {
			faults = append(faults, f)
		}
	}
	if err := faults.err(); err != nil {
		return Live{}, &l.report, err
	}
	return Live{Keyring: l.config.Keyring, Origins: l.config.Origins}, &l.report, nil
}
