package late
